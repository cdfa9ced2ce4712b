"""The request for a result: its size, in any of the ways to state one, and the memory for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from toolbox.errors import ImageError, SpecError
from toolbox.restorer import Restorer, scaled_size

Scale = float | tuple[float, float]


@dataclass(frozen=True)
class Geometry:
    """The size of a result, stated in at most one way; without any it is the model's own."""

    scale: Scale | None = None  # output over input size, one number or (vertical, horizontal)
    size: tuple[int, int] | None = None  # (height, width)
    width: int | None = None  # pixels; the proportions are kept
    height: int | None = None
    long_edge: int | None = None  # pixels of the longer side

    @property
    def given(self) -> bool:
        """Whether a size is stated."""
        return any(getattr(self, each.name) is not None for each in fields(self))

    def size_for(self, restorer: Restorer, height: int, width: int) -> tuple[int, int]:
        """The (height, width) of the result for a picture of ``height`` × ``width``.

        Raises:
            SpecError: the model does not do that size.
            ImageError: a stated side is not positive.
        """
        return restorer.output_size(height, width, self.wanted(height, width))

    def wanted(self, height: int, width: int) -> tuple[int, int] | None:
        """The stated (height, width) for a picture of ``height`` × ``width``; None if no size is stated.

        Raises:
            SpecError: both size and scale are stated, or the scale is not positive and finite.
            ImageError: a stated side is not positive.
        """
        side = {"width": width, "height": height, "long_edge": max(height, width)}
        for name, length in side.items():
            asked = getattr(self, name)
            if asked is None:
                continue
            if asked < 1:
                raise ImageError(f"got {name} {asked}, expected a positive number of pixels")
            return scaled_size(height, width, asked / length)
        if self.size is not None and self.scale is not None:
            raise SpecError(f"got size {self.size} and scale {self.scale}, expected one of them")
        if self.size is not None and (not isinstance(self.size, (tuple, list)) or len(self.size) != 2):
            raise SpecError(f"got size {self.size}, expected (height, width), both positive integers")
        return self.size if self.scale is None else scaled_size(height, width, self.scale)


@dataclass(frozen=True)
class Request:
    """The request, which is the same for every picture of a run."""

    geometry: Geometry = Geometry()
    max_memory: float | str | None = None  # bytes for the whole process, or text such as "2GB"
    halo: int | None = None  # pixels around a tile, when fewer than the encoder's receptive field are allowed
    workers: int = 1  # pictures that are restored at the same time and share memory
    conditions: Mapping[str, Any] = field(default_factory=dict)  # conditions for the network, such as sigma
    strength: float = 1.0  # share of the restored picture in the result, 0 to 1; the rest is the picture itself
