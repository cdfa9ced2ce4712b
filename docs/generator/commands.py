"""The command line: the help of every command, as the program prints it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from generator.markdown import code, page
from generator.running import toolbox_command
from toolbox.cli import app

INTRODUCTION = """You can also run `python -m toolbox`. The exit code is 0 when everything worked, 1 when an input
failed, and 2 when the command was used wrongly. An error is one sentence on standard error; `--debug` before the
command shows the traceback as well. `--json`, where a command has it, prints the result for a program to read."""


def pages() -> Iterator[tuple[str, str]]:
    """(path, text) of the page."""
    yield "reference/command-line.md", page("Command line", *_blocks())


def commands() -> list[tuple[str, ...]]:
    """The words of every command, those of commands inside commands too."""
    return list(_inside(typer.main.get_command(app), ()))


def _inside(group: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, command in getattr(group, "commands", {}).items():
        if not command.hidden:
            yield (*words, name)
            yield from _inside(command, (*words, name))


def _blocks() -> Iterator[str]:
    yield INTRODUCTION
    yield _help()
    for words in commands():
        yield f"## toolbox {' '.join(words)}"
        yield _help(*words)


def _help(*words: str) -> str:
    result, printed, errors = toolbox_command([*words, "--help"])
    assert result == 0, errors
    return code(printed)
