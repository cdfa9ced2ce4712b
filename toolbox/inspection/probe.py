"""The process of an inspection that imports the plugins and reports its findings."""

from __future__ import annotations

import json
import platform
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from toolbox.discovery import discover, installed
from toolbox.entry_points import COMMAND_GROUP, DISTRIBUTION, PLUGIN_GROUP, declared, is_built_in, package_of, selected
from toolbox.errors import PluginError
from toolbox.inspection.findings import ActivePlugin, Fault, file_of
from toolbox.records import Record
from toolbox.registry import Registries

LoadCommand = Callable[[metadata.EntryPoint], Any]


def warm_up() -> None:
    """Import Toolbox and its built-in plugins first, so that their time does not count for the others."""
    discover(filter(is_built_in, declared(PLUGIN_GROUP)))


def report(answer: str, own_commands: Iterable[str], load_command: LoadCommand) -> None:
    """Write the findings of this process to a file, as JSON.

    Args:
        answer: the file.
        own_commands: names of Toolbox's commands, which no package may take.
        load_command: imports a command of a package; raises PluginError if it cannot.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = installed()
    entries = {entry.name: entry for entry in sorted(declared(PLUGIN_GROUP), key=is_built_in)}
    active = []
    for plugin, version in found.versions.items():
        entry = entries.get(plugin)
        package, module = (package_of(entry)[0], entry.module) if entry else (DISTRIBUTION, "toolbox")
        brings = _names(found, plugin)
        if commands := [command.name for command in declared(COMMAND_GROUP) if package_of(command)[0] == package]:
            brings["commands"] = commands
        active.append(ActivePlugin(plugin, package, version, file_of(module), brings))
    faults = [
        Fault(each.package, each.version, file_of(each.module), f"plugin {each.plugin}: {each.reason}", each.remedy)
        for each in found.set_aside
    ]
    plugins, faults = [asdict(each) for each in active], [*faults, *_command_faults(own_commands, load_command)]
    data = {**_machine(), "plugins": plugins, "faults": [asdict(each) for each in faults]}
    Path(answer).write_text(json.dumps(data), encoding="utf-8")


def _command_faults(own_commands: Iterable[str], load_command: LoadCommand) -> Iterator[Fault]:
    """Faults of commands that cannot be loaded, or whose name is taken."""
    taken = dict.fromkeys(own_commands, DISTRIBUTION)
    for entry in sorted(filter(selected, declared(COMMAND_GROUP)), key=package_of):
        package, version = package_of(entry)
        where, remove = (package, version, file_of(entry.module)), f"or remove it: pip uninstall {package}"
        if entry.name in taken:
            sentence = f"its command {entry.name!r} has the name of one of {taken[entry.name]}"
            yield Fault(*where, sentence, f"tell its author to rename it, {remove}")
            continue
        taken[entry.name] = package
        try:
            load_command(entry)
        except PluginError as error:
            sentence = f"its command {entry.name!r} cannot be loaded: {error}"
            yield Fault(*where, sentence, f"repair it: pip install --force-reinstall {package}, {remove}")


def _names(found: Registries, plugin: str) -> dict[str, list[str]]:
    """The names that a plugin registered, by kind."""
    records: dict[str, Iterable[Record]] = {
        **{f"{kind}s": registry for kind, registry in found.components.items()},
        "architectures": found.architectures,
        "checkpoint formats": found.converters,
        "protocols": found.protocols,
        "degradations": found.degradations,
        "metrics": found.metrics,
        "losses": found.losses,
        "datasets": found.datasets,
    }
    names = {what: [each.name for each in registry if each.provider == plugin] for what, registry in records.items()}
    return {what: own for what, own in names.items() if own}


def _machine() -> dict[str, Any]:
    import torch

    devices = [f"cpu ({platform.processor() or platform.machine()})"]
    if torch.accelerator.is_available():
        kind = torch.accelerator.current_accelerator()
        devices += [f"{kind}:{number}" for number in range(torch.accelerator.device_count())]
    versions = {
        "toolbox": metadata.version(DISTRIBUTION),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "platform": platform.platform(),
    }
    return {"versions": versions, "devices": devices, "threads": torch.get_num_threads()}
