"""Neighborhoods: the pixels that a pixel may attend to, a window around it or the whole image.

Both axes are treated alike and separately, so the geometry is one-dimensional. An axis is cut into
segments of queries, and each segment knows the keys it needs and which query may see which key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field, field_validator
from torch import Tensor

from toolbox.config import Config, fault


class Windowed(Config):
    """The base of neighborhoods around a pixel.

    ``border`` decides what to do where the window leaves the image: ``clip`` cuts it off, ``zero``
    fills it with zero features (which take part with correlation 0), and ``shift`` moves it inside.
    """

    size: int = 45
    border: Literal["clip", "zero", "shift"] = "clip"

    @field_validator("size", mode="before")
    @classmethod
    def _odd(cls, size: Any) -> Any:
        if not isinstance(size, int) or isinstance(size, bool) or size < 1 or size % 2 == 0:
            raise fault((), size, "an odd number")
        return size

    def radius(self) -> int:
        """The distance that a pixel sees, in pixels."""
        return self.size - 1 if self.border == "shift" else self.size // 2


class Window(Windowed):
    """A window of ``size`` × ``size`` pixels (q in the NLRN paper) centered on each pixel."""

    kind: Literal["window"] = "window"


class TopK(Windowed):
    """The ``k`` pixels of a window that correlate most: block matching, Eq. 2 of the NLRN paper."""

    kind: Literal["top-k"] = "top-k"
    k: int = Field(default=16, gt=0)


class Whole(Config):
    """Every pixel of the image."""

    kind: Literal["whole"] = "whole"

    def radius(self) -> None:
        """None: the whole image."""


Neighborhood = Annotated[Window | TopK | Whole, Field(discriminator="kind")]


class Segment(NamedTuple):
    """Queries ``[start, stop)`` of one axis, the keys they need, and which query sees which key."""

    start: int
    stop: int
    key_start: int
    key_stop: int
    first: tuple[int, ...]  # each query's first key, counted from key_start; negative where the border cuts it off
    size: int  # number of keys that it sees from there on

    def outside(self, like: Tensor) -> Tensor:
        """(queries, keys) in the dtype of ``like``: −inf where the key is outside the query's window, else 0."""
        first = torch.tensor(self.first, device=like.device)[:, None]
        key = torch.arange(self.key_stop - self.key_start, device=like.device)
        outside = (key < first) | (key >= first + self.size)
        return torch.zeros_like(outside, dtype=like.dtype).masked_fill(outside, float("-inf"))

    def pairs(self) -> int:
        """The number of pairs, queries times keys."""
        return (self.stop - self.start) * (self.key_stop - self.key_start)

    def alike(self) -> tuple[Any, ...]:
        """A key that is equal for segments that differ only by a common shift of queries and keys."""
        return self.first, self.key_stop - self.key_start, self.start - self.key_start


def segments(length: int, neighborhood: Windowed | Whole, tile: int) -> list[Segment]:
    """Cut an axis into segments of ``tile`` queries, the last one perhaps shorter.

    With ``zero`` borders the keys count from the start of an axis padded by the window's radius.
    """
    size = length if isinstance(neighborhood, Whole) else neighborhood.size
    border = "shift" if isinstance(neighborhood, Whole) else neighborhood.border
    radius = size // 2
    keys = length + 2 * radius if border == "zero" else length

    def first(query: int) -> int:
        """The first key of a query's window."""
        if border == "zero":
            return query
        if border == "clip":
            return query - radius
        return min(max(query - radius, 0), max(length - size, 0))

    cut = []
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        key_start, key_stop = max(first(start), 0), min(first(stop - 1) + size, keys)
        offsets = tuple(first(query) - key_start for query in range(start, stop))
        cut.append(Segment(start, stop, key_start, key_stop, offsets, size))
    return cut
