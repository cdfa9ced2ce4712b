"""The license of weights that ship with a package, and the package."""

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
    facts = _package(registries.architectures[model].provider)
    return None if facts is None else _license(facts)


def origin_of(provider: str) -> str:
    """A plugin, with its package unless that is Toolbox itself; the file of a user's own catalog stays as it is."""
    facts = _package(provider)
    return provider if facts is None or facts["Name"] == DISTRIBUTION else f"{provider} ({facts['Name']})"


def _package(provider: str) -> metadata.PackageMetadata | None:
    """The facts about the package of a plugin."""
    if provider == "toolbox":
        return metadata.metadata(DISTRIBUTION)
    return next(
        (each.dist.metadata for each in declared(PLUGIN_GROUP) if each.name == provider and each.dist is not None), None
    )


def _license(facts: metadata.PackageMetadata) -> str | None:
    return next((facts[key] for key in ("License-Expression", "License") if key in facts), None)
