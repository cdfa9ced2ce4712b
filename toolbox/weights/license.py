"""The license of weights that ship with a package."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from toolbox.entry_points import DISTRIBUTION, PLUGIN_GROUP, declared
from toolbox.files import is_file
from toolbox.registry import Registries


def license_of(model: str, registries: Registries) -> str | None:
    """The license of the package that ships a model's weights; None for a file of the user, or if it says none."""
    if is_file(Path(model)) or model not in registries.architectures:
        return None
    architecture = registries.architectures[model]
    if architecture.provider == "toolbox":
        return _license(metadata.metadata(DISTRIBUTION))
    for entry in declared(PLUGIN_GROUP):
        if entry.name == architecture.provider and entry.dist is not None:
            return _license(entry.dist.metadata)
    return None


def _license(facts: metadata.PackageMetadata) -> str | None:
    return next((facts[key] for key in ("License-Expression", "License") if key in facts), None)
