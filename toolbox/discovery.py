"""Find plugins through entry points, register them one by one, and set broken ones aside."""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from toolbox import catalog, hookspecs
from toolbox.config import Kind
from toolbox.entry_points import (
    COMPONENT_GROUP,
    DISTRIBUTION,
    PLUGIN_GROUP,
    SELECTION,
    declared,
    is_built_in,
    package_of,
    selected,
    selection,
)
from toolbox.errors import PluginError, SpecError, ToolboxError
from toolbox.records import ArchitectureInfo, ComponentInfo
from toolbox.registry import Registries, SetAside

CORE = "toolbox"
BUILTIN = "toolbox.builtin"  # the core's own plugin, loaded by name like any other


class PluginWarning(UserWarning):
    """Toolbox set a plugin aside; everything else works."""


class IncompatiblePlugin(PluginError):
    """A plugin for another version of the plugin API."""


def create_plugin_manager() -> pluggy.PluginManager:
    """A manager that knows the hooks and holds the core's own components, and no plugin yet."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(importlib.import_module(BUILTIN), CORE)
    return manager


@functools.cache
def installed() -> Registries:
    """The registries of the core and every installed plugin, discovered on the first call."""
    return discover(declared(PLUGIN_GROUP))


def installed_with(catalogs: Iterable[Path]) -> Registries:
    """The installed registries with the architectures of catalogs, which are YAML files."""
    registries = installed()
    for path in catalogs:
        registries = registries.with_architectures(str(path), catalog.read_catalog(path))
    return registries


def in_use(registries: Registries | None) -> Registries:
    """The registries that a caller passed, or else the installed ones."""
    return installed() if registries is None else registries


def list_components(kind: Kind | None = None) -> list[ComponentInfo]:
    """The registered components, of one kind or of all, by kind and name."""
    kinds = installed().components
    if kind is not None and kind not in kinds:
        raise SpecError(f"got kind {kind!r}, expected one of {', '.join(kinds)}")
    return [info for each, registry in kinds.items() if kind in (None, each) for info in registry]


def list_architectures() -> list[ArchitectureInfo]:
    """The registered architectures by name."""
    return list(installed().architectures)


def discover(entry_points: Iterable[metadata.EntryPoint]) -> Registries:
    """The registries of the core and of the plugins that these entry points name.

    A plugin that cannot be imported or registers wrongly is set aside and adds nothing. Each package with
    such plugins gives one PluginWarning, which names them and the reason.
    """
    manager = create_plugin_manager()
    found = Registries.empty(
        {entry.name: entry.value for entry in declared(COMPONENT_GROUP)}, catalog.shipped_providers()
    )
    found.versions[CORE] = metadata.version(DISTRIBUTION)
    _collect(manager, CORE, found)
    complaints: dict[str, list[str]] = {}
    for entry in sorted(entry_points, key=lambda entry: (not is_built_in(entry), entry.name)):
        if not selected(entry):
            found.left_out.append(entry.name)
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # warnings for a plugin's author are not for its users
                _register(manager, entry)
                _collect(manager, entry.name, found)
        # A third-party module can fail in any way, even by exiting the interpreter.
        except (Exception, SystemExit) as error:
            if (plugin := manager.get_plugin(entry.name)) is not None and entry.name not in found.versions:
                manager.unregister(plugin)
            found.set_aside.append(aside := _set_aside(error, entry))
            origin = f" (package {aside.package} {aside.version})" if entry.dist else ""
            complaints.setdefault(aside.package, []).append(f"plugin {entry.name}{origin} is set aside: {aside.reason}")
        else:
            found.versions[entry.name] = package_of(entry)[1]
    plugins = {*found.versions, *found.left_out, *(each.plugin for each in found.set_aside)}
    if unknown := sorted((selection() or set()) - plugins):
        complaints[SELECTION] = [f"{SELECTION} names {', '.join(unknown)}, which is no plugin that is installed"]
    for sentences in complaints.values():
        warnings.warn(f"{'; '.join(sentences)}; see `toolbox doctor`", PluginWarning, stacklevel=2)
    return found


def hook_names() -> list[str]:
    """Every hook that a plugin can implement."""
    return sorted(name for name in vars(hookspecs) if name.startswith("toolbox_"))


def _register(manager: pluggy.PluginManager, entry: metadata.EntryPoint) -> None:
    if manager.has_plugin(entry.name):
        raise PluginError(f"a plugin named {entry.name!r} is already active; rename the entry point")
    module: ModuleType = entry.load()
    written_for = getattr(module, "TOOLBOX_API", hookspecs.API_VERSION)
    if written_for != hookspecs.API_VERSION:
        raise IncompatiblePlugin(
            f"it is written for version {written_for} of the plugin API, this toolbox has {hookspecs.API_VERSION}"
        )
    try:
        manager.register(module, entry.name)
        manager.check_pending()  # without it a misspelled hook would silently do nothing
    except pluggy.PluginValidationError as error:
        raise PluginError(
            f"{' '.join(str(error).split())}; expected one of {', '.join(hook_names())}, without arguments"
        ) from None
    if not manager.get_hookcallers(module):
        raise PluginError(f"it implements no hook; mark at least one of {', '.join(hook_names())} with @hookimpl")


def _collect(manager: pluggy.PluginManager, name: str, found: Registries) -> None:
    others = [plugin for other, plugin in manager.list_name_plugin() if other != name]

    def ask(hook: str) -> list[Any]:
        answers = manager.subset_hook_caller(hook, others)()
        return [record for answer in answers for record in answer]

    found.add_plugin(name, **{hook.removeprefix("toolbox_"): ask(hook) for hook in hook_names()})


def _set_aside(error: BaseException, entry: metadata.EntryPoint) -> SetAside:
    package, version = package_of(entry)
    remove = f"or remove it: pip uninstall {package}"
    reason = str(error) if isinstance(error, ToolboxError) else f"{type(error).__name__}: {error}"
    if isinstance(error, IncompatiblePlugin):
        remedy = f"upgrade both: pip install --upgrade {DISTRIBUTION} {package}, {remove}"
    elif isinstance(error, ToolboxError):
        remedy = f"tell its author, {remove}"
    elif isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] != entry.module:
        remedy = f"install the package that has the module {error.name}, {remove}"
    else:
        remedy = f"repair it: pip install --force-reinstall {package}, {remove}"
    return SetAside(entry.name, package, version, entry.module, " ".join(reason.split()), remedy)
