"""The parts of a recipe about optimization, budget and validation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo, model_validator

from toolbox.close_names import close_names
from toolbox.config import Config, fault, located
from toolbox.errors import UnknownComponent
from toolbox.records import ProtocolInfo
from toolbox.registry import Registries

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
        """A scale for showing the network."""
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
    rates: Mapping[str, Annotated[float, Field(gt=0)]] = Field(
        default={},
        description="learning rates of parts, such as {encoder: 0.0001}; `loss` is the part that losses train",
    )
    weight_decay: float = Field(default=0.0, ge=0)
    betas: tuple[float, float] | None = Field(default=None, description="the optimizer's own unless given")


class Schedule(Config):
    """The learning rate by timm's schedule, over the used fraction of the budget."""

    name: Literal["constant", "cosine", "multistep", "poly"] = "cosine"
    warmup: float = Field(default=0.01, ge=0, lt=1, description="fraction of the budget during which the rate rises")
    final: float = Field(
        default=0.01, ge=0, le=1, description="first and last rate of cosine and poly, as a fraction of `lr`"
    )
    milestones: tuple[float, ...] = Field(
        default=(), description="multistep: fractions of the budget at which the rate falls"
    )
    decay: float = Field(default=0.5, gt=0, description="factor of multistep, power of poly")
    extended: Literal["restart", "stretch"] = Field(
        default="restart",
        description="how a finished run goes on with a larger budget: anew over the added part, or along the whole",
    )


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

    @property
    def total(self) -> float:
        """The whole budget, in steps or in seconds."""
        return float(self.steps) if self.steps is not None else 60 * (self.minutes or 0.0)

    def used(self, steps: int, seconds: float) -> float:
        """The used part of the budget, in the same unit."""
        return float(steps) if self.steps is not None else seconds


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
    quality: int = Field(default=40, ge=1, le=100, description="JPEG quality, where the protocol compresses")
    low: Path | None = Field(default=None, description="folder with the inputs, where the protocol takes pairs")
    scales: tuple[Factor, ...] = Field(default=(), description="the originals are reduced by these; pairs unless given")
    every: float = Field(default=0.1, gt=0, le=1, description="fraction of the budget between two scores")
