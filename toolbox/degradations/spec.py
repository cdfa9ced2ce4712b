"""Degradations as data: a name and its settings, wherever a config has a place for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo

from toolbox.config import fault, located
from toolbox.errors import UnknownComponent
from toolbox.records import DegradationInfo
from toolbox.registry import Registries


@dataclass(frozen=True)
class Degradation:
    """A named degradation with its validated settings; in data, ``{name: NAME, **settings}``."""

    info: DegradationInfo
    config: Any  # of type info.config

    def to_data(self) -> dict[str, Any]:
        """As it is written in a recipe, complete."""
        return {"name": self.info.name, **self.config.model_dump(mode="json")}


def _find_degradation(value: Any, info: ValidationInfo) -> Degradation:
    if isinstance(value, Degradation):
        return value
    data = {"name": value} if isinstance(value, str) else value
    if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
        raise fault((), value, "a degradation's name, or a mapping with its name and settings")
    registries: Registries = info.context  # type: ignore[assignment]  # a recipe is read with them
    try:
        found = registries.degradations[data["name"]]
    except UnknownComponent as error:
        raise located(("name",), str(error)) from None
    settings = {key: setting for key, setting in data.items() if key != "name"}
    return Degradation(found, found.config.model_validate(settings, context=registries))


DegradationSpec = Annotated[
    Any, BeforeValidator(_find_degradation), PlainSerializer(lambda each: each.to_data(), return_type=dict)
]


def listed(value: Any) -> Any:
    """A list, also where one was given alone."""
    return [value] if isinstance(value, (str, Path, Mapping)) else value
