"""Turn a name, a mapping, JSON or a file into a validated spec."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolbox.catalog import read_yaml
from toolbox.config import validated
from toolbox.discovery import in_use
from toolbox.errors import SpecError
from toolbox.registry import Registries
from toolbox.spec import ArchitectureSpec


def resolve(
    name_or_spec: str | Path | Mapping[str, Any] | ArchitectureSpec,
    *,
    registries: Registries | None = None,
    **overrides: Any,
) -> ArchitectureSpec:
    """The validated spec for ``build``, which takes the same arguments and raises the same errors."""
    registries = in_use(registries)
    prefix = ""
    data: Any
    if not isinstance(name_or_spec, (str, Path, Mapping, ArchitectureSpec)):
        raise SpecError(f"got a {type(name_or_spec).__name__}, expected a name, a mapping, a YAML path or a spec")
    if isinstance(name_or_spec, ArchitectureSpec):
        data = name_or_spec.model_dump(mode="json")
    elif isinstance(name_or_spec, Mapping):
        data = name_or_spec
    elif isinstance(name_or_spec, Path):
        prefix = str(name_or_spec)
        data = read_yaml(name_or_spec)
    elif is_spec(name_or_spec):
        prefix = title_of(name_or_spec)
        data = read_spec(name_or_spec)
    else:
        prefix = name_or_spec
        data = registries.architectures[name_or_spec].spec
    if overrides:
        data = merged(without_preset_fields(data, overrides, registries), overrides)
    return validated(ArchitectureSpec, data, registries, prefix)


def is_spec(source: str) -> bool:
    """Whether a text is a spec, in JSON or in a YAML or JSON file, and not a name."""
    return source.lstrip().startswith("{") or source.endswith((".yaml", ".yml", ".json"))


def title_of(source: str) -> str:
    """The name of a spec in messages: that of its file, if it is in one."""
    return "the spec" if source.lstrip().startswith("{") else source


def read_spec(source: str) -> Any:
    """The data of a spec in JSON, or in a YAML or JSON file.

    Raises:
        SpecError: the file cannot be read, or it is neither JSON nor YAML.
    """
    if not source.lstrip().startswith("{"):
        return read_yaml(Path(source))
    try:
        return json.loads(source)
    except ValueError as error:
        raise SpecError(f"not valid JSON: {error}") from None


def without_preset_fields(data: Any, changes: Any, registries: Registries) -> Any:
    """``data`` without the settings that a preset among the changes replaces."""
    if not isinstance(changes, Mapping) or not isinstance(data, (str, Mapping)):
        return data
    data = {"name": data} if isinstance(data, str) else data
    kept = {key: without_preset_fields(value, changes.get(key), registries) for key, value in data.items()}
    for registry in registries.components.values():
        if "preset" in changes and data.get("name") in registry:
            fields = registry[data["name"]].config.presets.get(changes["preset"], {})
            kept = {key: value for key, value in kept.items() if key not in fields}
    return kept


def merged(data: Any, changes: Mapping[str, Any]) -> Any:
    """``data`` with ``changes``. Mappings are merged unless they name another component or kind."""
    if isinstance(data, str):  # the shorthand of a component
        data = {"name": data}
    if not isinstance(data, Mapping):
        return changes
    if any(tag in changes and changes[tag] != data.get(tag) for tag in ("name", "kind")):
        return changes
    both = {
        key: merged(data[key], value) if isinstance(value, Mapping) and data.get(key) is not None else value
        for key, value in changes.items()
    }
    return {**data, **both}
