"""A published checkpoint, and the plan by which a converter turns it into a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolbox.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by their published names, and the other data of the file, such as hyperparameters or a spec."""

    tensors: Mapping[str, Tensor]
    notes: Mapping[str, Any] = field(default_factory=dict)

    def shape(self, name: str, axes: int = 4) -> tuple[int, ...]:
        """The shape of a tensor from which the settings of the network follow, such as a convolution's kernel.

        Raises:
            WeightsError: there is no such tensor, it has another number of axes, or it is empty.
        """
        if name not in self.tensors:
            raise WeightsError(f"missing {name!r}, which determines the rest of the network")
        shape = tuple(self.tensors[name].shape)
        if len(shape) != axes or 0 in shape:
            raise WeightsError(f"{name!r} has shape {list(shape)}, expected {axes} axes with elements")
        return shape

    def count(self, pattern: str) -> int:
        """The number of tensors with a numbered name: the first i for which ``pattern.format(i)`` is missing."""
        number = 0
        while pattern.format(number) in self.tensors:
            number += 1
        return number


@dataclass(frozen=True)
class TensorSource:
    """The source of one of our tensors: published tensors, and how to join them."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]  # the expected shapes of the published tensors
    join: Callable[..., Tensor]


@dataclass(frozen=True)
class Conversion:
    """The plan of a converter: the spec, the source of each of our tensors, and names to ignore.

    A plain string as a source is the published name of a tensor that is used unchanged.
    """

    spec: Mapping[str, Any]
    sources: Mapping[str, str | TensorSource]
    ignored: frozenset[str] = frozenset()


def hint_needed(hint: str, choices: tuple[str, ...]) -> WeightsError:
    """The error for a setting that a checkpoint leaves open."""
    options = " or ".join(f"{hint}={choice!r}" for choice in choices)
    return WeightsError(f"its tensors do not determine {hint}; give the hint {options}")
