"""``toolbox serve`` before it serves: what it refuses."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests.cli.command import Run
from tests.cli.conftest import run  # noqa: F401  # a fixture


@pytest.mark.parametrize("package", ["uvicorn", "fastapi", "python_multipart"])
def test_a_missing_package_is_named_with_its_extra(package: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv[1:] = ['serve']; from toolbox.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: toolbox serve needs {package}, which is not installed; pip install 'toolbox-restoration[serve]'\n"
    )


def test_a_port_that_is_taken_is_refused(run: Run) -> None:  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sentence = run("serve", "--no-open", "--port", str(port)).sentence
    assert sentence.startswith(f"cannot listen at 127.0.0.1, port {port}: ")
    assert sentence.endswith("; choose another --port or --host")


@pytest.mark.parametrize(
    ("option", "reason"),
    [(("--max-memory", "much"), "got 'much' for the memory"), (("--catalog", "none.yaml"), "none.yaml: ")],
)
def test_wrong_options_are_refused_before_anybody_waits(option: tuple[str, str], reason: str, run: Run) -> None:  # noqa: F811
    assert run("serve", "--no-open", "--port", "0", *option).sentence.startswith(reason)
