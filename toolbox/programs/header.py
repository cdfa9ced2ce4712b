"""The facts about a program that its file holds as texts, so that a runtime can cut pictures into tiles."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeVar

from toolbox.errors import WeightsError
from toolbox.weights.modelspec import LICENSE

Scale = tuple[float, float] | Literal["any"]  # (vertical, horizontal); "any" takes the output size as inputs
T = TypeVar("T")


@dataclass(frozen=True)
class ProgramHeader:
    """The facts about a program besides those of a weights file."""

    scale: Scale
    receptive_field: int | None  # radius in input pixels; None for the whole picture
    alignment: int = 1  # tiles start at multiples of it
    tile: int | None = None  # height and width of every input; None for any
    memory: tuple[float, float] | None = None  # bytes for each input and each output pixel; None if unknown
    license: str | None = None  # of the weights, if known

    @property
    def halo(self) -> int | None:
        """Pixels around a tile that make it equal the whole picture: the receptive field, aligned."""
        return None if self.receptive_field is None else -(-self.receptive_field // self.alignment) * self.alignment

    def texts(self) -> dict[str, str]:
        """The facts as the file's metadata."""
        is_one_number = self.scale != "any" and self.scale[0] == self.scale[1]
        values = {
            "scale": self.scale[0] if is_one_number else self.scale,
            "receptive_field": self.receptive_field,
            "halo": self.halo,
            "alignment": self.alignment,
            "tile": self.tile,
            "memory": self.memory,
        }
        texts = {f"toolbox.{name}": json.dumps(value) for name, value in values.items()}
        return texts | ({} if self.license is None else {LICENSE: self.license})

    @classmethod
    def from_texts(cls, path: Path, texts: Mapping[str, str]) -> ProgramHeader:
        """The facts in the metadata of a file.

        Raises:
            WeightsError: one is missing or impossible.
        """

        def value(name: str, read: Callable[[Any], T]) -> T:
            text = texts.get(f"toolbox.{name}", "nothing")
            try:
                return read(json.loads(text))
            except (ValueError, TypeError, OverflowError, RecursionError):
                shown = text[:40] if text.isprintable() else ascii(text[:40])
                raise WeightsError(
                    f"{path}: got {shown} for toolbox.{name} in its metadata; export the network again"
                ) from None

        return cls(
            scale=value("scale", _scale),
            receptive_field=value("receptive_field", _optional(_count)),
            alignment=value("alignment", lambda found: _count(found, 1)),
            tile=value("tile", _optional(lambda found: _count(found, 1))),
            memory=value("memory", _optional(_pair)),
            license=texts.get(LICENSE),
        )


def alignment_for(header: ProgramHeader, before: tuple[int, int], after: tuple[int, int]) -> int:
    """The multiple at which tiles of a picture start, when it becomes ``after`` from ``before``, (height, width).

    Input and output pixels must both begin there, so a ratio of 3 to 2 needs multiples of 2.
    """
    ratios = [Fraction(target, length) for length, target in zip(before, after, strict=True)]
    return math.lcm(header.alignment, *(ratio.denominator for ratio in ratios))


def _optional(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda found: None if found is None else read(found)


def _count(found: Any, least: int = 0) -> int:
    if not isinstance(found, int) or isinstance(found, bool) or not least <= found < 2**31:
        raise ValueError
    return found


def _pair(found: Any) -> tuple[float, float]:
    first, second = (float(number) for number in found)
    if not (0 <= first < math.inf and 0 <= second < math.inf):
        raise ValueError
    return first, second


def _scale(found: Any) -> Scale:
    if found == "any":
        return "any"
    vertical, horizontal = _pair(found if isinstance(found, list) else [found, found])
    if not (vertical and horizontal):
        raise ValueError
    return vertical, horizontal
