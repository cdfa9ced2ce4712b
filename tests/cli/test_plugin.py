"""``toolbox plugin new``, and the example plugins: their own tests pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Run
from tests.test_release import EXAMPLES, python


def test_the_smallest_plugin_has_less_than_sixty_lines_all_in_all() -> None:
    files = [path for path in EXAMPLES[0].iterdir() if path.is_file()]
    assert {path.suffix for path in files} == {".py", ".toml", ".md"}
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) < 60


def test_example_plugins_and_a_new_one_pass_their_own_tests(tmp_path: Path) -> None:
    new = tmp_path / "my-plugin"
    assert "encoder: my-plugin" in python("-m", "toolbox", "plugin", "new", "my-plugin", "--folder", new)
    packages = [*EXAMPLES, new]
    site = tmp_path / "site"
    python("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", site, *packages)
    options = ["-q", "-p", "no:cacheprovider", "-k", "not set12", f"--rootdir={tmp_path}"]
    printed = python("-m", "pytest", *options, *packages, PYTHONPATH=str(site))
    assert " passed" in printed
    assert "skipped" not in printed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My_Plugin", "got the name 'My_Plugin', expected lower-case words joined by dashes, such as my-plugin"),
        ("class", "got the name 'class', expected lower-case words joined by dashes, such as my-plugin"),
        ("json", "got the name 'json', but a module json is already installed; choose another name"),
        (
            "toolbox-plugin-rdn",
            "got the name 'toolbox-plugin-rdn', but toolbox has the encoder 'rdn'; choose another name",
        ),
        ("taken", "taken exists; choose another name or --folder"),
    ],
)
def test_a_name_that_a_new_plugin_cannot_have_is_refused(
    name: str, message: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").mkdir()
    assert run("plugin", "new", name).sentence == message
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
