"""The command line as a whole: as a shell calls it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import Run
from toolbox.images.files.picture import read_picture

COMMANDS = ("restore", "compare", "convert", "eval", "list", "show", "schema", "doctor", "plugin")


def python(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False, encoding="utf-8"
    )


@pytest.mark.parametrize("command", [[], ["restore"], ["list"]], ids=["toolbox", "restore", "list"])
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    done = python("-X", "importtime", "-m", "toolbox", *command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: ")
    imported = set(re.findall(r"\| +([a-zA-Z]\w*)\S*$", done.stderr, re.MULTILINE))
    assert "typer" in imported
    assert not imported & {"torch", "numpy", "PIL", "safetensors", "timm", "einops"}


def test_a_picture_is_restored_from_a_shell(photo: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.png"
    done = python("-m", "toolbox", "restore", photo, "-o", output, "-m", "bicubic", "--scale", "1.5")
    assert done.returncode == 0
    assert done.stdout.startswith(f"wrote {output} (12x9 to 18x14, bicubic, ")
    assert read_picture(output).size == (18, 14)


def test_a_failure_from_a_shell_is_one_sentence(photo: Path, tmp_path: Path) -> None:
    done = python("-m", "toolbox", "restore", photo, "-o", tmp_path / "out.png", "-m", "nlnr")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: unknown architecture 'nlnr'; did you mean 'nlrn'")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps(command: str, run: Run) -> None:
    assert command in run("--help").out
    for option in ("--help", "-h"):
        result = run(command, option)
        assert result.code == 0
        assert re.match(rf"Usage: .*toolbox {command} ", result.out)


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    result = run()
    assert result.code == 2
    assert re.match(r"Usage: .*toolbox ", result.out + result.err)


def test_an_unknown_command_is_refused(run: Run) -> None:
    assert run("restoer").usage.startswith("No such command 'restoer'.")
