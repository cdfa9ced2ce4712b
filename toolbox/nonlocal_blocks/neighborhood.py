"""Which pixels a pixel may attend to: a window around it, or the whole image.

Both axes are treated alike and apart, so the geometry is one-dimensional: an axis is cut into
segments of queries, and each segment knows the keys it needs and which query may see which key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field, field_validator
from torch import Tensor

from toolbox.config import Config, fault


class Windowed(Config):
    """What neighborhoods around a pixel share.

    ``border`` says what happens where the window leaves the image: ``clip`` cuts it off, ``zero``
    fills it with zero features (which take part with correlation 0), ``shift`` moves it inside.
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
        """How far a pixel sees, in pixels."""
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
    """Queries ``[start, stop)`` of one axis, the keys they need, and who sees whom."""

    start: int
    stop: int
    key_start: int
    key_stop: int
    allowed: Tensor | None  # (queries, keys), bool; None when every query sees every key


def segments(length: int, window: Windowed, tile: int, device: torch.device) -> list[Segment]:
    """Cut an axis into segments of about ``tile`` queries.

    With ``zero`` borders the keys count from the start of an axis padded by the window's radius.
    """
    radius = window.size // 2
    keys = length + 2 * radius if window.border == "zero" else length

    def first(query: int) -> int:
        """The first key of a query's window."""
        if window.border == "zero":
            return query
        if window.border == "clip":
            return query - radius
        return min(max(query - radius, 0), max(length - window.size, 0))

    step = -(-length // -(-length // tile))  # equal segments, the last one perhaps shorter
    cut = []
    for start in range(0, length, step):
        stop = min(start + step, length)
        lowest, highest = first(start), first(stop - 1)
        key_start, key_stop = max(lowest, 0), min(highest + window.size, keys)
        if highest <= key_start and lowest + window.size >= key_stop:
            allowed = None
        else:
            low = torch.tensor([first(query) for query in range(start, stop)], device=device)[:, None]
            key = torch.arange(key_start, key_stop, device=device)
            allowed = (key >= low) & (key < low + window.size)
        cut.append(Segment(start, stop, key_start, key_stop, allowed))
    return cut
