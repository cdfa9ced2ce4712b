"""A degradation, a loss or a dataset in a recipe: the name of a record with its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from toolbox.blame import settings_of
from toolbox.config import fault, located
from toolbox.errors import UnknownComponent
from toolbox.registry import Registries


@dataclass(frozen=True)
class Choice:
    """A record with its validated settings; in data, ``{name: NAME, **settings}``."""

    info: Any
    config: Any  # of type info.config
    weight: float = 1.0  # weight of a loss among several

    def to_data(self) -> dict[str, Any]:
        """The complete mapping, as in a recipe; paths stay paths."""
        weight = {} if self.weight == 1 else {"weight": self.weight}
        return {"name": self.info.name, **weight, **self.config.model_dump()}


class OneOf:
    """Marks a field that takes a record of one of the registries, by name or with settings."""

    def __init__(self, registry: str, article: str, *, weighted: bool = False) -> None:
        """``registry`` is a field of Registries, and ``article`` the name of one record with its article."""
        self.registry, self.article, self.weighted = registry, article, weighted

    def validate(self, value: Any, registries: Registries) -> Choice:
        if isinstance(value, Choice):
            value = value.to_data()
        data = {"name": value} if isinstance(value, str) else value
        if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
            raise fault((), value, f"{self.article}'s name, or a mapping with its name and settings")
        try:
            info = getattr(registries, self.registry)[data["name"]]
        except UnknownComponent as error:
            raise located(("name",), str(error)) from None
        own = {"name", "weight"} if self.weighted else {"name"}
        settings = {key: setting for key, setting in data.items() if key not in own}
        weight = data.get("weight", 1.0) if self.weighted else 1.0
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not weight > 0:
            raise fault(("weight",), weight, "a positive number")
        what = f"{self.article.split()[-1]} {info.name!r}"
        return Choice(info, settings_of(what, info, settings, registries), float(weight))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            lambda value, info: self.validate(value, info.context),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda choice: choice.to_data(), return_schema=core_schema.dict_schema()
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {}
