"""Inspect plugins from outside, in other processes, since a plugin may crash or hang."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from toolbox.entry_points import (
    COMMAND_GROUP,
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
from toolbox.inspection.findings import ActivePlugin, Fault, Inspection, file_of
from toolbox.inspection.shadows import shadows

PROBE = """
import os, sys
sys.path[:] = {path!r}
from toolbox.cli import app
from toolbox.cli.plugin_commands import load_command
from toolbox.inspection.probe import report, warm_up
warm_up()
print("ready", flush=True)
report({answer!r}, [each.name for each in (*app.registered_commands, *app.registered_groups)], load_command)
os._exit(0)  # tidying up before the end takes long, and is not importing
"""


def inspect(time_limit: float) -> Inspection:
    """Find versions, devices, the parts of every selected plugin, and every fault of every selected package.

    One process imports all packages. If it does not end in time, or crashes, each package gets a process of
    its own, and the good ones are then imported once more together.
    """
    entries = [*declared(PLUGIN_GROUP), *declared(COMMAND_GROUP)]
    packages: dict[str, metadata.EntryPoint] = {}
    for entry in entries:
        if selected(entry) and not is_built_in(entry):
            packages.setdefault(package_of(entry)[0], entry)
    faults = list(shadows())
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
    plugins = [ActivePlugin(**each) for each in answer.pop("plugins")]
    left_out = sorted(entry.name for entry in declared(PLUGIN_GROUP) if not selected(entry))
    return Inspection(**answer, plugins=plugins, left_out=left_out, faults=sorted(faults, key=str))


def _probe(packages: list[metadata.EntryPoint], time_limit: float) -> tuple[dict[str, Any] | None, str]:
    """The report of a process that imports these packages; or None, and the reason."""
    names = set().union(*map(package_names, packages))
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer.json")
        command = [sys.executable, "-c", PROBE.format(path=sys.path, answer=str(answer))]
        environment = {**os.environ, SELECTION: ",".join(sorted(names))}
        with subprocess.Popen(  # noqa: S603  # this Python itself
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            if process.stdout is not None:
                process.stdout.readline()  # "ready": the time of Toolbox itself does not count for the plugins
            try:
                _, errors = process.communicate(timeout=time_limit)
            except subprocess.TimeoutExpired:
                process.kill()
                return None, f"importing it does not end within {time_limit:g} s"
        if not answer.exists():
            last = (errors.strip().splitlines() or ["it printed no error"])[-1]
            return None, f"importing it ends the process with exit code {process.returncode}: {last}"
        return json.loads(answer.read_text(encoding="utf-8")), ""


def _fault_of(entry: metadata.EntryPoint, fault: str) -> Fault:
    package, version = package_of(entry)
    remedy = f"remove it: pip uninstall {package}, or leave it out: --no-plugins"
    return Fault(package, version, file_of(entry.module), f"plugin {entry.name}: {fault}", remedy)
