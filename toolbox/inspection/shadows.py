"""Find modules elsewhere on the path with the names of Toolbox's modules."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

import toolbox
from toolbox.entry_points import DISTRIBUTION, PLUGIN_GROUP, declared, is_built_in
from toolbox.inspection.findings import Fault


def shadows() -> Iterator[Fault]:
    """Modules elsewhere on the path with our names; the order of the path decides which one Python imports."""
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
    """The folder of a built-in plugin: beside the core, or in ``plugins`` of a checkout."""
    installed = core.parent / module
    return installed if installed.is_dir() else core.parent / "plugins" / module
