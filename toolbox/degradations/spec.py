"""Degradations as data: a name with settings, for the fields of configs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Annotated, Any

from torch import Generator, Tensor

from toolbox.blame import blamed, broken
from toolbox.choice import Choice, OneOf
from toolbox.learning import Degraded

DegradationSpec = Annotated[Choice, OneOf("degradations", "a degradation")]


def listed(value: Any) -> Any:
    """Let a single value stand for a list."""
    return [value] if isinstance(value, (str, Path, Mapping)) else value


def degraded_by(chain: Sequence[Choice], picture: Tensor, scale: float, generator: Generator) -> Degraded:
    """Degrade a picture (C, H, W) by each in turn, and collect their conditions; the last value counts.

    Raises:
        PluginError: a degradation fails, or returns no picture.
    """
    conditions: dict[str, float | Tensor] = {}
    for choice in chain:
        what, provider = f"degradation {choice.info.name!r}", choice.info.provider
        with blamed(what, provider):
            result: Any = choice.info.degrade(choice.config, picture, scale, generator)
        own: Any = {}
        if isinstance(result, Degraded):
            result, own = result
        if not isinstance(result, Tensor) or not result.is_floating_point() or result.ndim != 3:
            got = f"{result.dtype} of {tuple(result.shape)}" if isinstance(result, Tensor) else type(result).__name__
            raise broken(what, provider, got, "a float tensor (C, H, W)")
        if not isinstance(own, Mapping) or not all(_is_condition(each, result) for each in own.values()):
            raise broken(what, provider, f"the conditions {own!r}", "a mapping of names to numbers or maps (H, W)")
        conditions |= own
        picture = result
    return Degraded(picture, conditions)


def _is_condition(value: Any, picture: Tensor) -> bool:
    """Whether a value is a number, or a map of the size of the picture."""
    if isinstance(value, Tensor):
        return value.ndim == 0 or (value.shape[-2:] == picture.shape[-2:] and value.numel() == picture[0].numel())
    return isinstance(value, Real)
