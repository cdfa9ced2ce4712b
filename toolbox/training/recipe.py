"""A recipe fully determines a training run. It is validated as a whole before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
import yaml
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo, model_validator

from toolbox.catalog import read_yaml
from toolbox.close_names import close_names
from toolbox.config import Config, fault, located, validated
from toolbox.decoders.implicit import ImplicitDecoder
from toolbox.errors import SpecError, ToolboxError, UnknownComponent
from toolbox.records import DegradationInfo, ProtocolInfo
from toolbox.registry import Registries
from toolbox.resolve import merged, resolve
from toolbox.restorer import Restorer
from toolbox.spec import ArchitectureSpec
from toolbox.training.trackers import check_tracker
from toolbox.weights.file import describe_mismatch, find_weights, read_header


def _resolve_model(value: Any, info: ValidationInfo) -> Any:
    """Resolve a name of the catalog, a spec, or a mapping with a ``name`` and changes."""
    if isinstance(value, ArchitectureSpec):
        return value
    changes: Mapping[str, Any] = {}
    if isinstance(value, Mapping) and "name" in value:
        changes = {key: change for key, change in value.items() if key != "name"}
        value = value["name"]
    try:
        return resolve(value, registries=info.context, **changes)
    except ToolboxError as error:
        raise located((), str(error)) from None


Model = Annotated[ArchitectureSpec, BeforeValidator(_resolve_model)]


@dataclass(frozen=True)
class Degradation:
    """A named degradation with its validated settings; in data, ``{name: NAME, **settings}``."""

    info: DegradationInfo
    config: Any  # of type info.config

    def to_data(self) -> dict[str, Any]:
        """The complete mapping, as in a recipe."""
        return {"name": self.info.name, **self.config.model_dump(mode="json")}


def _find_degradation(value: Any, info: ValidationInfo) -> Degradation:
    if isinstance(value, Degradation):
        return value
    data = {"name": value} if isinstance(value, str) else value
    if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
        raise fault((), value, "a degradation's name, or a mapping with its name and settings")
    registries: Registries = info.context  # type: ignore[assignment]  # read_recipe gives them
    try:
        found = registries.degradations[data["name"]]
    except UnknownComponent as error:
        raise located(("name",), str(error)) from None
    settings = {key: setting for key, setting in data.items() if key != "name"}
    return Degradation(found, found.config.model_validate(settings, context=registries))


DegradationSpec = Annotated[
    Any, BeforeValidator(_find_degradation), PlainSerializer(lambda each: each.to_data(), return_type=dict)
]


def _listed(value: Any) -> Any:
    """Return a list of at least one; a single value may stand alone."""
    if value in (None, [], ()):
        raise fault((), value, "at least one")
    return [value] if isinstance(value, (str, Path, Mapping)) else value


Factor = Annotated[float, Field(ge=1, le=32)]


class ScaleRange(Config):
    """The size of the clean patch over that of the degraded one. A number in a recipe means ``each`` of one scale."""

    each: tuple[Factor, ...] | None = Field(
        default=None, min_length=1, description="each step takes one batch of each scale"
    )
    between: tuple[Factor, Factor] | None = Field(default=None, description="each batch draws a scale from this range")

    @model_validator(mode="before")
    @classmethod
    def _number(cls, data: Any) -> Any:
        return {"each": [data]} if isinstance(data, (int, float)) else data

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.each is None) == (self.between is None):
            raise located((), "expected a number, {each: [2, 3, 4]} or {between: [1, 4]}")
        if self.between is not None and self.between[0] > self.between[1]:
            raise fault(("between",), list(self.between), "the smaller scale first")
        return self

    @property
    def largest(self) -> float:
        """The largest scale that can be drawn."""
        return max(self.each or self.between or ())

    @property
    def typical(self) -> float:
        """One to show the network by."""
        return self.each[0] if self.each else sum(self.between or ()) / 2


def _known_optimizer(name: str) -> str:
    from timm.optim import list_optimizers  # type: ignore[attr-defined]  # timm does not mark what it exports

    names = [str(each) for each in list_optimizers()]
    if name not in names:
        close = close_names(name, names) or ["adam", "adamw", "lamb"]
        raise fault((), name, f"an optimizer of timm such as {', '.join(close)}")
    return name


class Optimizer(Config):
    """An optimizer of timm."""

    name: Annotated[str, AfterValidator(_known_optimizer)] = "adam"
    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    betas: tuple[float, float] | None = Field(default=None, description="the optimizer's own unless given")


class Schedule(Config):
    """How the learning rate goes, by timm, over the fraction of the budget that is used up."""

    name: Literal["constant", "cosine", "multistep", "poly"] = "cosine"
    warmup: float = Field(default=0.01, ge=0, lt=1, description="fraction of the budget during which the rate rises")
    final: float = Field(
        default=0.01, ge=0, le=1, description="first and last rate of cosine and poly, as a fraction of `lr`"
    )
    milestones: tuple[float, ...] = Field(
        default=(), description="multistep: fractions of the budget at which the rate falls"
    )
    decay: float = Field(default=0.5, gt=0, description="factor of multistep, power of poly")


class Clip(Config):
    """Clip gradients by the norm of each tensor, as NLRN does, or of all together."""

    norm: float = Field(gt=0)
    of: Literal["tensor", "all"] = "tensor"


class Budget(Config):
    """The end of a run. Only a budget in steps means the same number of steps on every machine."""

    steps: int | None = Field(default=None, gt=0)
    minutes: float | None = Field(default=None, gt=0, description="minutes of training, without validation")

    @model_validator(mode="after")
    def _check(self) -> Self:
        expected = "expected {steps: NUMBER} or {minutes: NUMBER}"
        if self.steps is None and self.minutes is None:
            raise located((), f"got none, {expected}")
        if self.steps is not None and self.minutes is not None:
            raise located((), f"got both, {expected}; an override drops one with budget.minutes=null")
        return self


def _find_protocol(value: Any, info: ValidationInfo) -> ProtocolInfo:
    if isinstance(value, ProtocolInfo):
        return value
    registries: Registries = info.context  # type: ignore[assignment]  # read_recipe gives them
    try:
        return registries.protocols[value]
    except UnknownComponent as error:
        raise located((), str(error)) from None


Protocol = Annotated[Any, BeforeValidator(_find_protocol), PlainSerializer(lambda each: each.name, return_type=str)]


class Validation(Config):
    """Scores on pictures that are not part of the training."""

    folder: Path
    protocol: Protocol = Field(description="how to score; see `toolbox list protocols`")
    sigma: float = Field(default=25, ge=0, description="noise level of 255, where the protocol adds noise")
    scales: tuple[Factor, ...] = Field(default=(), description="the originals are reduced by these; pairs unless given")
    every: float = Field(default=0.1, gt=0, le=1, description="fraction of the budget between two scores")


Tracker = Annotated[str, AfterValidator(check_tracker)]


def _one_or_several(value: Any) -> Any:
    """Let a single element stand for a list."""
    return [value] if isinstance(value, str) else value


def _no_is_no_boolean(value: Any) -> Any:
    """Undo that YAML reads a bare no as false."""
    return "no" if value is False else value


class Recipe(Config):
    """A training run: the network, the data, the method and the budget. Paths are relative to the current folder."""

    model: Model = Field(description="a name of the catalog, a spec, or {name: NAME} with changes to it")
    weights: str | None = Field(default=None, description="initial weights: a weights file, or a name of the catalog")
    start: dict[str, float] = Field(default={}, description="factors by which initial parameters are multiplied")
    data: Annotated[tuple[Path, ...], BeforeValidator(_listed)] = Field(description="folders of pictures")
    degradation: Annotated[tuple[DegradationSpec, ...], BeforeValidator(_listed)] = Field(
        description="degradations of each patch, in this order"
    )
    scale: ScaleRange = ScaleRange(each=(1.0,))
    patch: int = Field(gt=0, description="pixels along a side of the degraded patch")
    points: int | None = Field(
        default=None, gt=0, description="output points that are computed of each patch; all unless given"
    )
    batch: int = Field(gt=0, description="patches in a batch, per process")
    accumulate: int = Field(default=1, gt=0, description="batches whose gradients make one step")
    loss: Literal["mse", "l1", "charbonnier"] = "l1"
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    clip: Clip | None = None
    average: float = Field(default=0.999, ge=0, lt=1, description="decay of the moving average of the weights (EMA)")
    precision: Annotated[Literal["no", "bf16", "fp16"] | None, BeforeValidator(_no_is_no_boolean)] = Field(
        default=None, description="precision of the arithmetic; that of `accelerate launch` unless given"
    )
    budget: Budget
    validation: Validation | None = None
    trackers: Annotated[tuple[Tracker, ...] | None, BeforeValidator(_one_or_several)] = Field(
        default=None,
        description="trackers that get the log beside log.csv: tensorboard, trackio, wandb; [] is none. "
        "Unless given, tensorboard where it is installed",
    )
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check_model(self, info: ValidationInfo) -> Self:
        with torch.device("meta"):  # so that nothing is computed or allocated
            restorer = Restorer(self.model)
        names = dict(restorer.named_parameters())
        if not names:
            raise located(("model",), "has no weights to train; choose another architecture")
        if self.model.channels not in (1, 3) or self.model.decoded_channels != self.model.channels:
            raise located(("model",), f"got {self.model.channels} channels, expected gray or RGB pictures, 1 or 3")
        if self.weights is not None:
            registries: Registries = info.context  # type: ignore[assignment]  # read_recipe gives them
            _check_fit(self.weights, restorer, registries)
        for name in self.start:
            if name not in names:
                close = close_names(name, names) or sorted(names)[:3]
                raise located(("start", name), f"unknown parameter; did you mean {', '.join(close)}?")
        own = {"same": 1.0}.get(str(restorer.sizes), restorer.sizes)
        if own != "any" and self.scale.each != (float(own),):
            raise fault(("scale",), self.scale.model_dump(exclude_none=True), f"{own}, the only one of this decoder")
        if self.points is not None and not isinstance(restorer.decoder, ImplicitDecoder):
            raise fault(("points",), self.points, f"none, since decoder {self.model.decoder.name!r} gives whole images")
        return self

    @property
    def batches(self) -> int:
        """The batches of each process in one step."""
        return self.accumulate * len(self.scale.each or (1,))


def _check_fit(weights: str, restorer: Restorer, registries: Registries) -> None:
    try:
        shapes = read_header(find_weights(weights, registries)).shapes
    except ToolboxError as error:
        raise located(("weights",), str(error)) from None
    expected = {name: tuple(tensor.shape) for name, tensor in restorer.state_dict().items()}
    if mismatch := describe_mismatch(shapes, expected):
        raise located(("weights",), f"{weights} does not fit the model: {mismatch}")


def read_recipe(path: Path, overrides: Sequence[str], registries: Registries) -> Recipe:
    """Read the recipe of a YAML file, changed by overrides such as ``optimizer.lr=1e-4``.

    Raises:
        SpecError: the file cannot be read or is wrong; the message has the path to the fault.
    """
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise SpecError(f"{path}: expected a mapping with the keys of a recipe")
    for override in overrides:
        data = merged(data, _parse_override(override))
    return validated(Recipe, data, registries, str(path))


def _parse_override(text: str) -> dict[str, Any]:
    """``a.b=VALUE`` → {"a": {"b": VALUE}}, the value read as YAML; 1e-3 is a number, though YAML wants 1.0e-3."""
    key, separator, written = text.partition("=")
    if not (key and separator):
        raise SpecError(f"got {text!r}, expected KEY=VALUE, such as optimizer.lr=0.001")
    try:
        value = yaml.safe_load(written)
    except yaml.YAMLError:
        raise SpecError(f"got {text!r}, expected a value that is YAML") from None
    for step in reversed(key.split(".")):
        value = {step: value}
    return value
