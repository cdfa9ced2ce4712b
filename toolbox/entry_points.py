"""Read the entry points that packages declare for Toolbox, without importing any package."""

from __future__ import annotations

import os
from importlib import metadata
from typing import Any

PLUGIN_GROUP = "toolbox"  # entry points that name a plugin's module
COMPONENT_GROUP = "toolbox.components"  # "component = plugin": readable when the plugin is broken
COMMAND_GROUP = "toolbox.commands"  # "command = module:function", imported when the command is run
DISTRIBUTION = "toolbox-restoration"  # the package that the core and the built-in plugins come in
SELECTION = "TOOLBOX_PLUGINS"  # environment variable with the names of the only third-party plugins to use


def declared(group: str) -> list[metadata.EntryPoint]:
    """The entry points of a group. A package with unreadable metadata has none.

    Of two packages with the same name on the path the first one counts, as for Python.
    """
    packages: dict[str, Any] = {}
    for package in metadata.distributions():
        try:
            if PLUGIN_GROUP not in (package.read_text("entry_points.txt") or ""):
                continue  # most packages; reading more of each would slow --help down
            name = package.metadata["Name"].lower().replace("_", "-").replace(".", "-")
            packages.setdefault(name, package.entry_points.select(group=group))
        # A half-removed or hand-made package may have any kind of metadata.
        except Exception:  # noqa: S112
            continue
    return [entry for entries in packages.values() for entry in entries]


def selection() -> set[str] | None:
    """The plugins that TOOLBOX_PLUGINS names; an empty set if it is empty, None if it is not set."""
    names = os.environ.get(SELECTION)
    return None if names is None else {name.strip() for name in names.split(",")} - {""}


def selected(entry: metadata.EntryPoint) -> bool:
    """Whether TOOLBOX_PLUGINS selects the package, by one of its plugins. Built-in ones always count as selected."""
    names = selection()
    return names is None or is_built_in(entry) or not names.isdisjoint(package_names(entry))


def package_names(entry: metadata.EntryPoint) -> set[str]:
    """The plugins of an entry point's package, or the entry point's own name if the package has none."""
    plugins = entry.dist.entry_points.select(group=PLUGIN_GROUP) if entry.dist else ()
    return {plugin.name for plugin in plugins} or {entry.name}


def is_built_in(entry: metadata.EntryPoint) -> bool:
    """Whether the entry point belongs to the package of the core."""
    return entry.dist is not None and entry.dist.name == DISTRIBUTION


def package_of(entry: metadata.EntryPoint) -> tuple[str, str]:
    """The name and version of the entry point's package."""
    return (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "unknown")
