"""What is installed and what is wrong with it, found out in other processes, which may crash or hang."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import toolbox
from toolbox.entry_points import (
    COMMAND_GROUP,
    DISTRIBUTION,
    PLUGIN_GROUP,
    SELECTION,
    declared,
    is_built_in,
    package_names,
    package_of,
    selected,
    selection,
)
from toolbox.errors import PluginError
from toolbox.records import Record
from toolbox.registry import Registries

PROBE = """
import os, sys
sys.path[:] = {path!r}
from toolbox.cli import app
from toolbox.cli.inspection import report, warm_up
warm_up()
print("ready", flush=True)
report({answer!r}, [each.name for each in (*app.registered_commands, *app.registered_groups)])
os._exit(0)  # tidying up before the end takes long, and is not importing
"""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, where it is, and what to do about it."""

    package: str
    version: str
    file: str
    fault: str
    remedy: str

    def __str__(self) -> str:
        return f"{f'{self.package} {self.version}'.strip()} ({self.file}): {self.fault}; {self.remedy}"


@dataclass(frozen=True)
class Brought:
    """An active plugin, and the names that it brings, by kind."""

    plugin: str
    package: str
    version: str
    file: str
    brings: dict[str, list[str]]


@dataclass(frozen=True)
class Inspection:
    """What is installed, and what is wrong with it."""

    versions: dict[str, str]
    devices: list[str]
    threads: int
    plugins: list[Brought]
    left_out: list[str]
    faults: list[Fault]


def inspect(time_limit: float) -> Inspection:
    """Versions, devices, what every selected plugin brings, and every fault of every selected package.

    All are imported in one process. When that does not end in time, or dies, each package is tried in a
    process of its own, and those that end well once more together.
    """
    entries = [*declared(PLUGIN_GROUP), *declared(COMMAND_GROUP)]
    packages: dict[str, metadata.EntryPoint] = {}
    for entry in entries:
        if selected(entry) and not is_built_in(entry):
            packages.setdefault(package_of(entry)[0], entry)
    faults = list(_shadows())
    unknown = sorted((selection() or set()) - set().union(*map(package_names, entries)))
    faults += (
        Fault("no package", "", SELECTION, f"no plugin is named {name}", "install it, or leave it out")
        for name in unknown
    )
    answer, _ = _probe([*packages.values()], time_limit)
    if answer is None:
        good = []
        for entry in packages.values():
            answer, fault = _probe([entry], time_limit)
            if answer is None:
                faults.append(_fault_of(entry, fault))
            else:
                good.append(entry)
        if answer is None or len(good) > 1:
            answer, fault = _probe(good, time_limit)
        if answer is None:
            with_plugins = f"with {', '.join(package_of(entry)[0] for entry in good)} " if good else ""
            raise PluginError(f"Toolbox does not start {with_plugins}in a process of its own: {fault}")
    faults += (Fault(**each) for each in answer.pop("faults"))
    plugins = [Brought(**each) for each in answer.pop("plugins")]
    left_out = sorted(entry.name for entry in declared(PLUGIN_GROUP) if not selected(entry))
    return Inspection(**answer, plugins=plugins, left_out=left_out, faults=sorted(faults, key=str))


def warm_up() -> None:
    """Import Toolbox with all that it brings itself."""
    from toolbox.discovery import discover

    discover(filter(is_built_in, declared(PLUGIN_GROUP)))


def report(answer: str, own_commands: Iterable[str]) -> None:
    """Write what this process discovers, as JSON, to a file; commands of Toolbox itself are not taken twice."""
    from toolbox.discovery import installed

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = installed()
    entries = {entry.name: entry for entry in sorted(declared(PLUGIN_GROUP), key=is_built_in)}
    brought = []
    for plugin, version in found.versions.items():
        entry = entries.get(plugin)
        package, module = (package_of(entry)[0], entry.module) if entry else (DISTRIBUTION, "toolbox")
        brings = _names(found, plugin)
        if commands := [command.name for command in declared(COMMAND_GROUP) if package_of(command)[0] == package]:
            brings["commands"] = commands
        brought.append(Brought(plugin, package, version, file_of(module), brings))
    faults = [
        Fault(each.package, each.version, file_of(each.module), f"plugin {each.plugin}: {each.reason}", each.remedy)
        for each in found.set_aside
    ]
    plugins, faults = [asdict(each) for each in brought], [*faults, *_command_faults(own_commands)]
    data = {**_machine(), "plugins": plugins, "faults": [asdict(each) for each in faults]}
    Path(answer).write_text(json.dumps(data), encoding="utf-8")


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


def _names(found: Registries, plugin: str) -> dict[str, list[str]]:
    """The names of what a plugin registered, by kind."""
    records: dict[str, Iterable[Record]] = {
        **{f"{kind}s": registry for kind, registry in found.components.items()},
        "architectures": found.architectures,
        "checkpoint formats": found.converters,
        "protocols": found.protocols,
        "degradations": found.degradations,
    }
    names = {what: [each.name for each in registry if each.provider == plugin] for what, registry in records.items()}
    return {what: own for what, own in names.items() if own}


def file_of(module: str) -> str:
    """The file of a module, or of the package that it is in; found without importing it."""
    try:
        spec = find_spec(module.partition(".")[0])
    # A finder of a stranger's may fail in any way.
    except Exception:
        spec = None
    return spec.origin if spec is not None and spec.origin else f"no file of module {module}"


def _probe(packages: list[metadata.EntryPoint], time_limit: float) -> tuple[dict[str, Any] | None, str]:
    """What a process that imports these packages reports; or None, and what became of it."""
    names = set().union(*map(package_names, packages))
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer.json")
        command = [sys.executable, "-c", PROBE.format(path=sys.path, answer=str(answer))]
        environment = {**os.environ, SELECTION: ",".join(sorted(names))}
        with subprocess.Popen(  # noqa: S603  # this Python itself
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            if process.stdout is not None:
                process.stdout.readline()  # "ready": what Toolbox itself takes is not the plugins' time
            try:
                _, said = process.communicate(timeout=time_limit)
            except subprocess.TimeoutExpired:
                process.kill()
                return None, f"importing it does not end within {time_limit:g} s"
        if not answer.exists():
            last = (said.strip().splitlines() or ["no word"])[-1]
            return None, f"importing it ends the process with exit code {process.returncode}: {last}"
        return json.loads(answer.read_text(encoding="utf-8")), ""


def _fault_of(entry: metadata.EntryPoint, fault: str) -> Fault:
    package, version = package_of(entry)
    remedy = f"remove it: pip uninstall {package}, or leave it out: --no-plugins"
    return Fault(package, version, file_of(entry.module), f"plugin {entry.name}: {fault}", remedy)


def _command_faults(own_commands: Iterable[str]) -> Iterator[Fault]:
    """Commands that cannot be loaded, or whose name is taken."""
    from toolbox.cli.plugin_commands import load_command

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


def _shadows() -> Iterator[Fault]:
    """Modules elsewhere on the path that have the names of ours: which one is imported depends on the path."""
    ours = {"toolbox": Path(toolbox.__file__).parent}
    for entry in declared(PLUGIN_GROUP):
        if is_built_in(entry):
            ours[entry.module] = _home(entry.module, ours["toolbox"])
    owners = metadata.packages_distributions()
    for name, home in ours.items():
        for folder in dict.fromkeys(sys.path):
            spec = PathFinder.find_spec(name, [folder or os.getcwd()])  # noqa: PTH109  # what '' on the path means
            if spec is None or spec.origin is None or Path(spec.origin).resolve().parent == home.resolve():
                continue
            package = next((each for each in owners.get(name, ()) if each != DISTRIBUTION), None)
            version = metadata.version(package) if package else ""
            fault = f"it has a module {name!r}, the name of one of Toolbox's"
            remedy = f"remove it: pip uninstall {package}" if package else "rename it, or take its folder off the path"
            yield Fault(package or "no package", version, spec.origin, fault, remedy)


def _home(module: str, core: Path) -> Path:
    """Where a built-in plugin is: beside the core, or in a checkout's ``plugins``."""
    installed = core.parent / module
    return installed if installed.is_dir() else core.parent / "plugins" / module
