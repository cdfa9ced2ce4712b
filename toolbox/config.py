"""The base classes of configs: frozen pydantic models that name the path to each fault."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from toolbox.close_names import did_you_mean
from toolbox.errors import SpecError

_M = TypeVar("_M", bound=BaseModel)

Kind = Literal["encoder", "recurrent-wrapper", "transition", "nonlocal-block", "decoder"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Config(BaseModel):
    """A component's settings: frozen, without unknown keys.

    ``presets`` maps the names of published settings to their fields. Before validation, those fields replace
    ``preset: A`` in a spec, so that a stored spec is always explicit.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True, allow_inf_nan=False
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    first_weights: ClassVar[frozenset[str]] = frozenset()  # fields that say where the weights come from before training
    for_use: ClassVar[Mapping[str, Any]] = {}  # fields with their values in a network that is folded after training

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, data: Any) -> Any:
        if not (cls.presets and isinstance(data, Mapping) and "preset" in data):
            return data
        given = {key: value for key, value in data.items() if key != "preset"}
        if not isinstance(data["preset"], str) or data["preset"] not in cls.presets:
            raise fault(("preset",), data["preset"], f"one of {', '.join(cls.presets)}")
        return {**cls.presets[data["preset"]], **given}

    @model_validator(mode="before")
    @classmethod
    def _name_close_keys(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        keys = {field.alias or name for name, field in cls.model_fields.items()}
        keys |= {"preset"} if cls.presets else set()
        for key in data:
            if key not in keys and key not in cls.model_fields:
                remedy = did_you_mean(str(key), keys, most=1) or f"expected one of {', '.join(sorted(keys))}"
                raise located((str(key),), f"unknown key; {remedy}", data[key])
        return data


@dataclass(frozen=True)
class Padding:
    """How to enlarge an image at the bottom and right before encoding; the result is cropped again."""

    multiple: int = 1  # both sides must be multiples of it
    mode: Literal["reflect", "replicate", "zeros"] = "reflect"  # reflect repeats no edge

    def joined(self, other: Padding) -> Padding:
        """The padding that serves both parts.

        Raises:
            ValueError: the parts need different modes.
        """
        if 1 in (self.multiple, other.multiple):
            return self if other.multiple == 1 else other
        if self.mode != other.mode:
            raise ValueError(f"got parts that pad with {self.mode} and with {other.mode}, expected one way for all")
        return Padding(math.lcm(self.multiple, other.multiple), self.mode)


class Configured:
    """A component with its config in a field of another config, such as ``ComponentSpec``."""

    config: Any


def configured(value: object) -> Iterator[Configured]:
    """The components in a value, also inside lists, mappings and settings, but not inside one another."""
    if isinstance(value, Configured):
        yield value
    elif isinstance(value, Config):
        for field in type(value).model_fields:
            yield from configured(getattr(value, field))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from configured(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from configured(each)


class ComponentConfig(Config):
    """Settings of a component of any kind. They describe the component before any tensor exists.

    A config that does not override a method gets its answer from the components in its fields.
    """

    def receptive_field(self) -> int | None:
        """Radius in pixels around one feature or output pixel that it depends on; None for the whole image."""
        raise NotImplementedError

    def alignment(self) -> int:
        """The multiple at which a tile must start to give the same features as the whole image."""
        return math.lcm(*(each.config.alignment() for each in configured(self)))

    def padding(self) -> Padding:
        """The padding that an image needs; ValueError if the parts disagree."""
        return functools.reduce(Padding.joined, (each.config.padding() for each in configured(self)), Padding())


class EncoderConfig(ComponentConfig):
    """Settings of an encoder."""

    def out_channels(self, channels: int) -> int:
        """The number of feature channels for an image of ``channels``; ValueError if the encoder cannot take it."""
        raise NotImplementedError


class NonLocalConfig(ComponentConfig):
    """Settings of a non-local block, which keeps the number of channels."""

    def check_channels(self, channels: int) -> None:
        """Raise ValueError unless the block can work on features of that many channels."""


class TransitionConfig(ComponentConfig):
    """Settings of a transition, the function that a recurrent wrapper repeats.

    Its receptive field is the radius that one application adds.
    """

    channels: int


class DecoderConfig(ComponentConfig):
    """Settings of a decoder. They say which sizes it accepts. Its receptive field is in feature pixels.

    A decoder that takes the image is built with ``image_channels`` beside the other arguments.
    """

    takes_image: ClassVar[bool] = False  # if true, ``image=`` is the normalized image, as large as the features

    def sizes(self) -> Literal["same", "any"] | int:
        """The accepted output sizes: ``"same"`` as the features, ``"any"``, or a fixed integer scale."""
        raise NotImplementedError

    def check_join(self, features: int, channels: int) -> None:
        """Raise ValueError unless the decoder can turn ``features`` channels into an image of ``channels``."""


class LossConfig(Config):
    """Settings of a loss, with the limits of its comparison."""

    pointwise: ClassVar[bool] = False  # whether it compares pixel by pixel, so that some points of a patch are enough
    smallest: ClassVar[int] = 1  # side of the smallest patch that it compares, in pixels


CONFIG_OF_KIND: Mapping[Kind, type[ComponentConfig]] = {
    "encoder": EncoderConfig,
    "recurrent-wrapper": EncoderConfig,
    "transition": TransitionConfig,
    "nonlocal-block": NonLocalConfig,
    "decoder": DecoderConfig,
}


def located(path: tuple[str | int, ...], message: str, got: object = None) -> ValidationError:
    """A validation error at ``path`` below the model that raises it."""
    error = PydanticCustomError("fault", "{message}", {"message": message})
    return ValidationError.from_exception_data("spec", [InitErrorDetails(type=error, loc=path, input=got)])


def fault(path: tuple[str | int, ...], got: object, expected: str) -> ValidationError:
    """The usual validation error: ``got …, expected …``."""
    return located(path, f"got {got!r}, expected {expected}", got)


def validated(model: type[_M], data: Any, context: object, prefix: str = "") -> _M:
    """Validate ``data``, turning pydantic's report into one sentence with the path to each fault.

    Raises:
        SpecError: as in ``encoder.transition.nonlocal.neighborhood.size: got 44, expected an odd number``.
    """
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        faults: dict[str, str] = {}
        for detail in error.errors(include_url=False):
            path, sentence = _fault_of(detail, data)
            faults.setdefault(path, f"{path}: {sentence}" if path else sentence)
        raise SpecError(f"{prefix}: " * bool(prefix) + "; ".join(faults.values())) from None
    except RecursionError:
        raise SpecError(f"{prefix}: " * bool(prefix) + "a spec that is nested too deeply") from None


def _fault_of(detail: Any, data: Any) -> tuple[str, str]:
    """The path and the sentence of one entry of pydantic's report."""
    kind, got = detail["type"], detail["input"]
    path = _visible_path(detail["loc"], data, through_scalars=kind in ("fault", "missing"))
    if kind == "fault":
        return ".".join(path), detail["msg"]
    if kind == "missing":
        return ".".join(path), "missing; this key is required"
    if kind in ("model_type", "model_attributes_type"):
        return ".".join(path), f"got {got!r}, expected a mapping"
    if kind.startswith("union_tag"):
        tag = detail["ctx"]["discriminator"].strip("'")
        path.append(tag)
        if kind == "union_tag_not_found":
            return ".".join(path), "missing; this key is required"
        return ".".join(path), f"got {detail['ctx']['tag']!r}, expected one of {detail['ctx']['expected_tags']}"
    expected = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return ".".join(path), expected if kind == "value_error" else f"got {got!r}, expected {expected}"


def _visible_path(loc: tuple[str | int, ...], data: Any, through_scalars: bool) -> list[str]:
    """The path as the user wrote it, without the names that pydantic adds for the members of unions.

    Below a scalar there are only such names, unless the scalar is the shorthand of a component.
    """
    path = []
    for i, step in enumerate(loc):
        if isinstance(data, Mapping):
            if step not in data and step in data.values() and i + 1 < len(loc):
                continue  # the tag of a union
            if isinstance(step, int) and step not in data:
                continue  # a list of one was written without the list
            data = data.get(step)
        elif isinstance(data, list):
            if not isinstance(step, int):
                continue
            data = data[step] if step < len(data) else None
        elif not through_scalars:
            break
        path.append(str(step))
    return path
