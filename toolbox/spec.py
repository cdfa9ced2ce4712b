"""An architecture as data: component specs nested in an architecture spec, validated as a whole."""

from __future__ import annotations

import json
import keyword
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializationInfo,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from toolbox.blame import blamed, settings_of
from toolbox.config import Config, Configured, Kind, Padding, configured, fault, located
from toolbox.discovery import in_use
from toolbox.errors import UnknownComponent
from toolbox.records import ComponentInfo
from toolbox.registry import Registries


@dataclass(frozen=True)
class ComponentSpec(Configured):
    """A named component with its validated config; in data, ``{name: NAME, **config}``."""

    info: ComponentInfo
    config: Any  # of type info.config

    @property
    def name(self) -> str:
        return self.info.name

    def build(self, **context: Any) -> Any:
        """Call the component's factory: ``factory(config, **context)``.

        Raises:
            PluginError: the factory fails.
        """
        with blamed(f"{self.info.kind} {self.name!r}", self.info.provider):
            return self.info.factory(self.config, **context)

    def to_data(self) -> dict[str, Any]:
        """The spec as JSON data, with every default written out."""
        return {"name": self.name, **self.config.model_dump(mode="json")}

    def trained(self) -> ComponentSpec:
        """The same spec for existing weights, without the settings that say where first weights come from."""
        return _changed(self, lambda config: dict.fromkeys(config.first_weights))

    def folded(self) -> ComponentSpec:
        """The spec of the same component without the parts that exist for training alone."""
        return _changed(self, lambda config: config.for_use)

    def parts(self) -> Iterator[ComponentSpec]:
        """This component and every component nested in its config."""
        yield self
        for part in configured(self.config):
            if isinstance(part, ComponentSpec):
                yield from part.parts()


def _changed(value: Any, changes: Callable[[Config], Mapping[str, Any]]) -> Any:
    """A value of a config with changed fields in every component in it, also in lists and mappings."""
    if isinstance(value, ComponentSpec):
        return replace(value, config=_changed(value.config, changes))
    if isinstance(value, Config):
        fields = {field: _changed(getattr(value, field), changes) for field in type(value).model_fields}
        return value.model_copy(update={**fields, **changes(value)})
    if isinstance(value, Mapping):
        return {key: _changed(each, changes) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_changed(each, changes) for each in value)
    return value


class OfKind:
    """Marks a config field that takes a component of one of these kinds, by name or with settings."""

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = kinds

    def validate(self, value: Any, registries: Registries | None) -> ComponentSpec:
        if isinstance(value, ComponentSpec):
            value = value.to_data()
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, Mapping):
            raise fault((), value, "a component's name, or a mapping with its name and settings")
        if not isinstance(value.get("name"), str):
            raise located(("name",), f"missing; expected the name of a component of kind {' or '.join(self.kinds)}")
        registries = in_use(registries)
        try:
            info = registries.component(self.kinds, value["name"])
        except UnknownComponent as error:
            raise located(("name",), str(error)) from None
        settings = {key: setting for key, setting in value.items() if key != "name"}
        return ComponentSpec(info, settings_of(f"{info.kind} {info.name!r}", info, settings, registries))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def serialize(spec: ComponentSpec, _: SerializationInfo) -> dict[str, Any]:
            return spec.to_data()

        return core_schema.with_info_plain_validator_function(
            lambda value, info: self.validate(value, info.context),
            serialization=core_schema.plain_serializer_function_ser_schema(serialize, info_arg=True),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"x-component": list(self.kinds)}  # toolbox.schema replaces it by the registered components


EncoderSpec = Annotated[ComponentSpec, OfKind("encoder", "recurrent-wrapper")]
DecoderSpec = Annotated[ComponentSpec, OfKind("decoder")]
TransitionSpec = Annotated[ComponentSpec, OfKind("transition")]
NonLocalSpec = Annotated[ComponentSpec, OfKind("nonlocal-block")]


class Normalization(Config):
    """The network sees (image − mean) / std, with a value for each channel or one for all."""

    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0

    @field_validator("mean", "std")
    @classmethod
    def _finite(cls, value: float | tuple[float, ...], info: ValidationInfo) -> float | tuple[float, ...]:
        values = value if isinstance(value, tuple) else (value,)
        if not all(math.isfinite(each) and (each > 0 or info.field_name == "mean") for each in values):
            raise fault((), value, "finite numbers" if info.field_name == "mean" else "positive, finite numbers")
        return value


class Condition(Config):
    """An input of a network besides the image: one number for the whole image, or a map with one for each pixel."""

    unit: float = Field(default=1.0, gt=0, description="the value that the network sees as 1, such as 255")
    description: str = Field(default="", description="its meaning, in a few words")


RESERVED = frozenset(("image", "size", "scale", "model", "output", "max_memory", "halo", "progress"))


class ArchitectureSpec(Config):
    """A network as a sentence: an encoder feeds a decoder."""

    summary: str = ""
    paper: str = ""
    channels: int = Field(gt=0, description="channels of the image: 1 is gray, 3 is RGB")
    output_channels: int | None = Field(default=None, gt=0, description="channels of the output; default: the image's")
    normalization: Normalization = Normalization()
    global_skip: Literal["none", "bicubic", "bilinear", "nearest"] = Field(
        default="none",
        description="the interpolation that resizes the input image, which is added to what the decoder gives",
    )
    conditions: Mapping[str, Condition] = Field(
        default={},
        description="inputs besides the image, such as sigma; the encoder gets a map of each, after the image",
    )
    encoder: EncoderSpec
    decoder: DecoderSpec

    @field_validator("conditions")
    @classmethod
    def _check_names(cls, value: Mapping[str, Condition]) -> Mapping[str, Condition]:
        for name in value:
            if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name in RESERVED:
                taken = f" other than {', '.join(sorted(RESERVED))}" if name in RESERVED else ""
                raise fault((name,), name, f"a lower-case word such as sigma{taken}")
        return value

    @model_validator(mode="after")
    def _check_joins(self) -> ArchitectureSpec:
        for part, expected in (("mean", self.normalization.mean), ("std", self.normalization.std)):
            if isinstance(expected, tuple) and len(expected) != self.channels:
                raise fault(("normalization", part), list(expected), f"one value, or {self.channels}: one per channel")
        try:
            features = self.encoder.config.out_channels(self.encoder_channels)
            self.encoder.config.padding()
        except ValueError as error:
            raise located(("encoder",), str(error)) from None
        try:
            self.decoder.config.check_join(features, self.decoded_channels)
            self.encoder.config.padding().joined(self.decoder.config.padding())
        except ValueError as error:
            raise located(("decoder",), f"{error} (encoder {self.encoder.name!r} gives {features} channels)") from None
        if self.decoded_channels != self.channels and (
            self.global_skip != "none"
            or isinstance(self.normalization.mean, tuple)
            or isinstance(self.normalization.std, tuple)
        ):
            raise fault(
                ("output_channels",),
                self.output_channels,
                f"{self.channels}, since a global skip or a normalization per channel ties the output to the image",
            )
        return self

    @property
    def decoded_channels(self) -> int:
        """The number of channels of the decoder's result."""
        return self.channels if self.output_channels is None else self.output_channels

    @property
    def encoder_channels(self) -> int:
        """The number of channels of the encoder's input: those of the image, and one for each condition."""
        return self.channels + len(self.conditions)

    @property
    def padding(self) -> Padding:
        """The padding of an image before it is encoded."""
        padding: Padding = self.encoder.config.padding().joined(self.decoder.config.padding())
        return padding

    def parts(self) -> Iterator[ComponentSpec]:
        """Every component of the architecture, outermost first."""
        yield from self.encoder.parts()
        yield from self.decoder.parts()

    def trained(self) -> ArchitectureSpec:
        """The same spec for existing weights: building it reads and fetches none."""
        return self.model_copy(update={"encoder": self.encoder.trained(), "decoder": self.decoder.trained()})

    def folded(self) -> ArchitectureSpec:
        """The spec of the same network without the parts that exist for training alone."""
        return self.model_copy(update={"encoder": self.encoder.folded(), "decoder": self.decoder.folded()})

    def to_json(self) -> str:
        """Complete JSON. Reading it back gives an equal spec, even if defaults change."""
        return json.dumps(self.model_dump(mode="json"), separators=(",", ":"))
