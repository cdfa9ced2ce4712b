"""The catalog: named architectures as YAML data, in registry.yaml and in the user's own files."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from toolbox.errors import SpecError
from toolbox.hub import is_hub_name
from toolbox.records import ArchitectureInfo

OWN_KEYS = ("weights", "plugin", "url")  # keys of an entry that are not part of its spec


def read_catalog(path: str | Path) -> list[ArchitectureInfo]:
    """The architectures of a YAML file: a mapping of names to specs.

    Besides the keys of a spec, an entry may have ``weights``, the weights file that the architecture
    ships with, relative to the YAML file, or its name on the hub, ``hf://user/repo``; and ``url``, the
    address of its paper or its code. Specs are validated later, when they are built.

    Raises:
        SpecError: the file is missing, is not YAML, or is not a mapping of names to mappings.
    """
    path = Path(path)
    return [
        ArchitectureInfo(
            name=name,
            spec=_spec(entry),
            summary=str(entry.get("summary", "")),
            weights=_weights(path, entry.get("weights")),
            url=str(entry.get("url", "")),
        )
        for name, entry in _entries(path).items()
    ]


def _weights(catalog: Path, name: str | None) -> Path | str | None:
    if not name:
        return None
    return name if is_hub_name(name) else catalog.parent / name


def shipped(plugin: str, weights: Path | None = None) -> list[ArchitectureInfo]:
    """The architectures of registry.yaml that belong to ``plugin``.

    Args:
        plugin: the value of the entries' ``plugin`` key.
        weights: the folder with the plugin's weights, each named after its architecture.
    """
    architectures = []
    for name, entry in _shipped_entries().items():
        if entry["plugin"] == plugin:
            file = weights / f"{name}.safetensors" if weights else None
            found = file if file is not None and file.exists() else None
            summary, url = (str(entry.get(key, "")) for key in ("summary", "url"))
            architectures.append(ArchitectureInfo(name, _spec(entry), summary, weights=found, url=url))
    return architectures


def shipped_providers() -> dict[str, str]:
    """Every architecture of registry.yaml and the plugin that it belongs to."""
    return {name: entry["plugin"] for name, entry in _shipped_entries().items()}


def shipped_catalog() -> Path:
    """registry.yaml: inside the installed package, or at the top of a checkout."""
    installed = Path(str(resources.files("toolbox"))) / "registry.yaml"
    return installed if installed.exists() else installed.parent.parent / "registry.yaml"


@functools.cache  # read once, although every plugin asks for its part
def _shipped_entries() -> Mapping[str, Mapping[str, Any]]:
    return _entries(shipped_catalog())


def _spec(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of an entry, without the catalog's own keys."""
    return {key: value for key, value in entry.items() if key not in OWN_KEYS}


def _entries(path: Path) -> Mapping[str, Mapping[str, Any]]:
    data = read_yaml(path)
    if not isinstance(data, dict) or not all(isinstance(entry, dict) for entry in data.values()):
        raise SpecError(f"{path}: expected a mapping of architecture names to specs")
    for name, entry in data.items():
        if not isinstance(name, str):
            raise SpecError(f"{path}: got the name {name!r}, expected text; put it into quotation marks")
        if not isinstance(entry.get("weights") or "", str):
            raise SpecError(f"{path}: {name}.weights: got {entry['weights']!r}, expected the path of a weights file")
    return data


def read_yaml(path: Path) -> Any:
    """Read the data of a YAML file.

    Raises:
        SpecError: the file cannot be read or is not YAML; the message has the line.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
