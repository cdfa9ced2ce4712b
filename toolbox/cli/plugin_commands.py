"""Commands of other packages, found through entry points and imported when they run."""

from __future__ import annotations

from functools import cached_property
from importlib import metadata
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from toolbox.entry_points import COMMAND_GROUP, declared, package_of, selected
from toolbox.errors import PluginError


class Commands(TyperGroup):
    """The built-in commands, and after them those of other packages.

    Contexts and commands are those of click, which some versions of typer vendor; hence ``Any``.
    """

    @cached_property
    def foreign(self) -> dict[str, metadata.EntryPoint]:
        """The commands of other packages that do not have the name of a built-in one."""
        return {name: entry for name, entry in plugin_commands().items() if name not in self.commands}

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the order of the help text."""
        return [*super().list_commands(ctx), *self.foreign]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command. A command of another package is described by its metadata, so that help imports nothing."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or (entry := self.foreign.get(cmd_name)) is None:
            return own
        summary = (entry.dist.metadata["Summary"] if entry.dist else None) or "a command"
        return TyperCommand(cmd_name, help=f"{' '.join(package_of(entry))}: {summary}.")

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that is about to run."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and name not in self.commands:
            entry = self.foreign[name]
            try:
                command = load_command(entry)
            except PluginError as error:
                package = " ".join(package_of(entry))
                raise PluginError(
                    f"command {name!r} of package {package} cannot be loaded: {error}; repair or remove the package"
                ) from error
        return name, command, rest


def plugin_commands() -> dict[str, metadata.EntryPoint]:
    """Commands of other packages by name. Of two with the same name, the first package by name wins."""
    entries = [entry for entry in declared(COMMAND_GROUP) if selected(entry)]
    named = {entry.name: entry for entry in sorted(entries, key=package_of, reverse=True)}
    return dict(sorted(named.items()))


def load_command(entry: metadata.EntryPoint) -> Any:
    """Load the typer command of a function with typer's annotations.

    Raises:
        PluginError: the module cannot be imported, or typer does not take the function.
    """
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    try:
        app.command(entry.name)(entry.load())
        return typer.main.get_command(app)
    # A third-party module can fail in any way, even by exiting the interpreter.
    except (Exception, SystemExit) as error:
        raise PluginError(f"{type(error).__name__}: {error}") from error
