"""What packages declare for Toolbox in their metadata, read without importing any of them."""

from __future__ import annotations

import os
from importlib import metadata
from typing import Any

PLUGIN_GROUP = "toolbox"  # entry points that name a plugin's module
COMPONENT_GROUP = "toolbox.components"  # "component = plugin": readable when the plugin is broken
COMMAND_GROUP = "toolbox.commands"  # "command = module:function", imported when the command is run
DISTRIBUTION = "toolbox-restoration"  # the package that the core and the built-in plugins come in
SELECTION = "TOOLBOX_PLUGINS"  # of the environment: the only plugins of other packages to use, by name


def declared(group: str) -> list[metadata.EntryPoint]:
    """The entry points of a group; a package whose own metadata cannot be read has none.

    Of two packages of one name on the path it is the first that counts, as for Python.
    """
    packages: dict[str, Any] = {}
    for package in metadata.distributions():
        try:
            if PLUGIN_GROUP not in (package.read_text("entry_points.txt") or ""):
                continue  # most packages; reading more of each would slow --help down
            name = package.metadata["Name"].lower().replace("_", "-").replace(".", "-")
            packages.setdefault(name, package.entry_points.select(group=group))
        # Whatever a half-removed or hand-made package has for metadata.
        except Exception:  # noqa: S112
            continue
    return [entry for entries in packages.values() for entry in entries]


def selection() -> set[str] | None:
    """The plugins that TOOLBOX_PLUGINS names, none if it is empty; None where it is not set."""
    names = os.environ.get(SELECTION)
    return None if names is None else {name.strip() for name in names.split(",")} - {""}


def selected(entry: metadata.EntryPoint) -> bool:
    """Whether TOOLBOX_PLUGINS leaves its package in, by the name of one of its plugins; built-in ones always are."""
    names = selection()
    return names is None or is_built_in(entry) or not names.isdisjoint(package_names(entry))


def package_names(entry: metadata.EntryPoint) -> set[str]:
    """The plugins of an entry point's package; the entry point's own name where it has none."""
    plugins = entry.dist.entry_points.select(group=PLUGIN_GROUP) if entry.dist else ()
    return {plugin.name for plugin in plugins} or {entry.name}


def is_built_in(entry: metadata.EntryPoint) -> bool:
    """Whether it comes in the package of the core."""
    return entry.dist is not None and entry.dist.name == DISTRIBUTION


def package_of(entry: metadata.EntryPoint) -> tuple[str, str]:
    """Name and version of the package that it comes in."""
    return (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "unknown")
