"""Memory that is used again and again, since new memory costs more than the work in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor


def reusable(*tensors: Tensor) -> bool:
    """Whether results may overwrite each other: not when autograd needs them, or when autocast chooses the type."""
    device = tensors[0].device.type
    autocasts = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return not autocasts and not (torch.is_grad_enabled() and any(each.requires_grad for each in tensors))


def side_by_side(strips: Iterator[Tensor], width: int) -> Tensor:
    """Strips (B, C, H, columns) from left to right → (B, C, H, width), in one piece of memory.

    Strips that stay while larger values come and go would leave holes in the heap, larger than all of them.
    """
    first = next(strips)
    if not reusable(first):
        return torch.cat((first, *strips), 3)
    batch, channels, height, _ = first.shape
    whole = first.new_empty(batch, height, width, channels).permute(0, 3, 1, 2)
    left = 0
    for strip in chain((first,), strips):
        whole[..., left : left + strip.shape[3]] = strip
        left += strip.shape[3]
    return whole


class Scratch:
    """Memory that every run overwrites, since new memory costs more than the work in it.

    There is none when autograd needs the values, or when autocast chooses the type.
    """

    def __init__(self, like: Tensor, *, usable: bool) -> None:
        self.memory = like.new_empty(0) if usable else None

    def room(self, *shape: int) -> Tensor | None:
        """A tensor of that shape to write to, over the one before; None when there is no such memory."""
        if self.memory is None:
            return None
        if self.memory.numel() < math.prod(shape):
            self.memory = self.memory.new_empty(math.prod(shape))
        return self.memory[: math.prod(shape)].view(shape)

    def copied(self, source: Tensor) -> Tensor:
        """The source, contiguous."""
        room = self.room(*source.shape)
        return source.contiguous() if room is None else room.copy_(source)
