"""What a converter works with: a published checkpoint, and the plan of what becomes of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolbox.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by their published names, and what else the file says (hyperparameters, a spec)."""

    tensors: Mapping[str, Tensor]
    notes: Mapping[str, Any] = field(default_factory=dict)

    def shape(self, name: str, axes: int = 4) -> tuple[int, ...]:
        """The shape of a tensor that says what the rest of the network is, such as a convolution's kernel.

        Raises:
            WeightsError: there is none of that name, it has another number of axes, or no element.
        """
        if name not in self.tensors:
            raise WeightsError(f"missing {name!r}, which determines the rest of the network")
        shape = tuple(self.tensors[name].shape)
        if len(shape) != axes or 0 in shape:
            raise WeightsError(f"{name!r} has shape {list(shape)}, expected {axes} axes with elements")
        return shape

    def count(self, pattern: str) -> int:
        """How many tensors there are of a numbered name: the first i for which ``pattern.format(i)`` is missing."""
        number = 0
        while pattern.format(number) in self.tensors:
            number += 1
        return number


@dataclass(frozen=True)
class TensorSource:
    """Where one of our tensors comes from: published tensors, and how they are joined into it."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]  # what the published tensors must have
    join: Callable[..., Tensor]


@dataclass(frozen=True)
class Conversion:
    """What a converter plans: the spec, the source of each of our tensors, and names that are not needed.

    A plain string is the published name of a tensor that is taken as it is.
    """

    spec: Mapping[str, Any]
    sources: Mapping[str, str | TensorSource]
    ignored: frozenset[str] = frozenset()


def hint_needed(hint: str, choices: tuple[str, ...]) -> WeightsError:
    """The error for what a checkpoint's keys cannot tell."""
    options = " or ".join(f"{hint}={choice!r}" for choice in choices)
    return WeightsError(f"its tensors do not determine {hint}; give the hint {options}")
