"""Plugins: found through entry points, registered one by one, set aside when they are broken."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable
from importlib import metadata
from types import ModuleType
from typing import Any

import pluggy

from toolbox import catalog, hookspecs
from toolbox.errors import PluginError, ToolboxError
from toolbox.registry import Registries

PLUGIN_GROUP = "toolbox"  # entry points that name a plugin's module
COMPONENT_GROUP = "toolbox.components"  # entry points "component = plugin": readable when the plugin is broken
CORE = "toolbox"
DISTRIBUTION = "toolbox-restoration"  # the package that the core and the built-in plugins come in


class PluginWarning(UserWarning):
    """A plugin was set aside; everything else works."""


def create_plugin_manager() -> pluggy.PluginManager:
    """A manager that knows the hooks and holds the core's own components, and no plugin yet."""
    from toolbox import components

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(components, CORE)
    return manager


@functools.cache
def registries() -> Registries:
    """What is installed: the core and every plugin, discovered on the first call."""
    return discover(metadata.entry_points(group=PLUGIN_GROUP))


def discover(entry_points: Iterable[metadata.EntryPoint]) -> Registries:
    """Registries of the core and of the plugins that these entry points name.

    A plugin that cannot be imported or registers wrongly adds nothing; it is set aside with one
    PluginWarning that names it and says why.
    """
    manager = create_plugin_manager()
    found = Registries.empty(
        {entry.name: entry.value for entry in metadata.entry_points(group=COMPONENT_GROUP)},
        catalog.shipped_providers(),
    )
    found.versions[CORE] = metadata.version(DISTRIBUTION)
    _collect(manager, CORE, found)
    for entry in sorted(entry_points, key=_ours_first):
        try:
            _register(manager, entry)
            _collect(manager, entry.name, found)
        # A stranger's module can fail in any way, even by leaving the interpreter.
        except (Exception, SystemExit) as error:
            if (plugin := manager.get_plugin(entry.name)) is not None and entry.name not in found.versions:
                manager.unregister(plugin)
            reason = str(error) if isinstance(error, ToolboxError) else f"{type(error).__name__}: {error}"
            found.set_aside[entry.name] = reason
            warnings.warn(f"plugin {_origin(entry)} is set aside: {reason}", PluginWarning, stacklevel=2)
        else:
            found.versions[entry.name] = entry.dist.version if entry.dist else "unknown"
    return found


def _register(manager: pluggy.PluginManager, entry: metadata.EntryPoint) -> None:
    if manager.has_plugin(entry.name):
        raise PluginError(f"a plugin named {entry.name!r} is already active; rename the entry point")
    module: ModuleType = entry.load()
    manager.register(module, entry.name)
    try:
        manager.check_pending()  # without it a misspelled hook would silently do nothing
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{error}; expected one of {', '.join(_hook_names())}") from None


def _collect(manager: pluggy.PluginManager, name: str, found: Registries) -> None:
    others = [plugin for other, plugin in manager.list_name_plugin() if other != name]

    def ask(hook: str) -> list[Any]:
        answers = manager.subset_hook_caller(hook, others)()
        return [record for answer in answers for record in answer]

    hooks = (
        "toolbox_components",
        "toolbox_architectures",
        "toolbox_converters",
        "toolbox_protocols",
        "toolbox_degradations",
    )
    found.add_plugin(name, *(ask(hook) for hook in hooks))


def _hook_names() -> list[str]:
    return sorted(name for name in vars(hookspecs) if name.startswith("toolbox_"))


def _ours_first(entry: metadata.EntryPoint) -> tuple[bool, str]:
    """The built-in plugins come first, so that a stranger who takes one of their names is the one set aside."""
    return entry.dist is None or entry.dist.name != DISTRIBUTION, entry.name


def _origin(entry: metadata.EntryPoint) -> str:
    package = f" (package {entry.dist.name} {entry.dist.version})" if entry.dist else ""
    return f"{entry.name}{package}"
