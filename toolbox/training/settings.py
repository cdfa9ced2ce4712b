"""The parts of a recipe that say how a network is optimized, for how long, and how it is scored meanwhile."""

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
    """How much larger the clean patch is than the degraded one; a number in a recipe is ``each`` of one."""

    each: tuple[Factor, ...] | None = Field(default=None, min_length=1, description="one batch of each in every step")
    between: tuple[Factor, Factor] | None = Field(default=None, description="one drawn for every batch")

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
    rates: Mapping[str, Annotated[float, Field(gt=0)]] = Field(
        default={},
        description="learning rates of parts, such as {encoder: 0.0001}; `loss` is what losses train; others have `lr`",
    )
    weight_decay: float = Field(default=0.0, ge=0)
    betas: tuple[float, float] | None = Field(default=None, description="unless those of the optimizer")


class Schedule(Config):
    """How the learning rate goes, by timm, over the fraction of the budget that is used up."""

    name: Literal["constant", "cosine", "multistep", "poly"] = "cosine"
    warmup: float = Field(default=0.01, ge=0, lt=1, description="fraction of the budget in which the rate rises")
    final: float = Field(default=0.01, ge=0, le=1, description="first and last rate of cosine and poly over `lr`")
    milestones: tuple[float, ...] = Field(default=(), description="multistep: fractions at which the rate falls")
    decay: float = Field(default=0.5, gt=0, description="multistep: by this factor; poly: the power")
    extended: Literal["restart", "stretch"] = Field(
        default="restart",
        description="how a finished run goes on with a larger budget: anew over what is added, or where it is in all",
    )


class Clip(Config):
    """Clipping of gradients by their norm: of each tensor, as NLRN trains, or of all together."""

    norm: float = Field(gt=0)
    of: Literal["tensor", "all"] = "tensor"


class Budget(Config):
    """When a run ends. Only a budget in steps gives the same weights on every machine and after an interruption."""

    steps: int | None = Field(default=None, gt=0)
    minutes: float | None = Field(default=None, gt=0, description="of training; validation is not counted")

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
        """All of it, in steps or in seconds."""
        return float(self.steps) if self.steps is not None else 60 * (self.minutes or 0.0)

    def used(self, steps: int, seconds: float) -> float:
        """How much of it a run has used up, in the same unit."""
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
    """Scores on pictures that are not trained on."""

    folder: Path
    protocol: Protocol = Field(description="how to score; see `toolbox list protocols`")
    sigma: float = Field(default=25, ge=0, description="noise level of 255, where the protocol adds noise")
    low: Path | None = Field(default=None, description="a folder with the inputs, where the protocol takes pairs")
    scales: tuple[Factor, ...] = Field(default=(), description="by which low resolution is made; without, from pairs")
    every: float = Field(default=0.1, gt=0, le=1, description="fraction of the budget between two scores")
