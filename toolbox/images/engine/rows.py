"""The rows of a picture: read where they are needed, and dropped where nobody needs them any more."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Protocol

import torch
from torch import Tensor

from toolbox.images.arrays import to_tensor
from toolbox.pixels import Array


class Rows(Protocol):
    """A picture, or its features, whose rows are read from top to bottom."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""

    def get(self, start: int, stop: int) -> Tensor:
        """The rows [start, stop), (1, C, stop - start, W)."""

    def drop(self, before: int) -> None:
        """Forget the rows above ``before``."""


class TensorRows:
    """The rows of a tensor (1, C, H, W)."""

    def __init__(self, image: Tensor) -> None:
        self._image = image

    @property
    def shape(self) -> tuple[int, int, int]:
        _, channels, height, width = self._image.shape
        return channels, height, width

    def get(self, start: int, stop: int) -> Tensor:
        return self._image[:, :, start:stop]

    def drop(self, before: int) -> None:
        """A tensor stays as it is."""


class ArrayRows:
    """The rows of an array (H, W) or (H, W, C) as ``to_tensor`` gives them; the array keeps its type."""

    def __init__(self, array: Array) -> None:
        self._array = array

    @property
    def shape(self) -> tuple[int, int, int]:
        height, width, channels = (*self._array.shape, 1)[:3]
        return channels, height, width

    def get(self, start: int, stop: int) -> Tensor:
        return to_tensor(self._array[start:stop])

    def drop(self, before: int) -> None:
        """An array stays as it is."""


class SomeChannels:
    """Some of the channels of other rows, which are not dropped, since other channels may still be needed."""

    def __init__(self, rows: Rows, channels: slice) -> None:
        self._rows, self._channels = rows, channels

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self._rows.shape
        return len(range(channels)[self._channels]), height, width

    def get(self, start: int, stop: int) -> Tensor:
        return self._rows.get(start, stop)[:, self._channels]

    def drop(self, before: int) -> None:
        """See above."""


class StreamedRows:
    """Rows that come in parts from top to bottom. It holds the parts from which rows may still be needed.

    Args:
        parts: (1, C, some rows, W) each, computed when they are needed.
        shape: channels, height and width of all parts together.
    """

    def __init__(self, parts: Iterator[Tensor], shape: tuple[int, int, int]) -> None:
        self._parts, self._shape = parts, shape
        self._held: list[Tensor] = []
        self._top = self._bottom = 0  # the rows [top, bottom) are held

    @property
    def shape(self) -> tuple[int, int, int]:
        return self._shape

    def get(self, start: int, stop: int) -> Tensor:
        while self._bottom < stop:
            self._held.append(next(self._parts))
            self._bottom += self._held[-1].shape[2]
        wanted, top = [], self._top
        for part in self._held:
            bottom = top + part.shape[2]
            if top < stop and start < bottom:
                wanted.append(part[:, :, max(start - top, 0) : min(stop, bottom) - top])
            top = bottom
        return wanted[0] if len(wanted) == 1 else torch.cat(wanted, 2)

    def drop(self, before: int) -> None:
        while self._held and self._top + self._held[0].shape[2] <= before:
            self._top += self._held.pop(0).shape[2]
        over = before - self._top
        if self._held and over > 0 and 2 * over >= self._held[0].shape[2]:
            self._held[0] = self._held[0][:, :, over:].clone()  # a slice would keep all of the part
            self._top = before


def joined(
    parts: Iterator[Tensor], height: int, memory_format: torch.memory_format = torch.contiguous_format
) -> Tensor:
    """Join parts (B, C, some rows, W) from top to bottom; one part that is the whole picture stays as it is."""
    first = next(parts)
    if first.shape[2] == height:
        return first
    shape = (*first.shape[:2], height, first.shape[3])
    whole = torch.empty(shape, dtype=first.dtype, device=first.device, memory_format=memory_format)
    top = 0
    for part in chain((first,), parts):
        whole[:, :, top : top + part.shape[2]] = part
        top += part.shape[2]
    return whole
