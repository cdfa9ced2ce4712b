"""The command line: the help of every command, as the program prints it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from generator.markdown import code, page
from toolbox.cli import app

WIDTH = 100


def pages() -> Iterator[tuple[str, str]]:
    """(path, text) of the page."""
    yield "reference/command-line.md", page("Command line", *_blocks())


def commands() -> list[tuple[str, str]]:
    """(``toolbox NAME``, its help) of the program itself and every command, and of commands inside commands."""
    return list(_helps(typer.main.get_command(app), "toolbox", None))


def _helps(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
    )
    yield context.command_path, command.get_help(context)
    for inner_name, inner in getattr(command, "commands", {}).items():
        yield from _helps(inner, inner_name, context)


def _blocks() -> Iterator[str]:
    yield (
        "Also as `python -m toolbox`. Exit codes: 0, done; 1, an input failed; 2, wrong usage. An error is one "
        "sentence on the standard error; `--debug` before the command shows the traceback. `--json`, where a command "
        "has it, prints what a program would read."
    )
    for path, text in commands():
        yield f"## {path}" if path != "toolbox" else ""
        yield code(text)
