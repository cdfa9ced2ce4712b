"""The multiples that a network needs: an image is padded to them at the bottom and right, and its tiles start there."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.config import EncoderConfig, Padding


def padded(image: Tensor, padding: Padding) -> Tensor:
    """(B, C, H, W) → the same, larger at the bottom and right, both sides multiples of ``padding.multiple``.

    Reflection repeats no edge pixel. It goes back and forth if the image is smaller than its padding.
    """
    height, width = image.shape[-2:]
    down, right = (multiple_of(length, padding) - length for length in (height, width))
    if padding.multiple == 1 or (not torch.compiler.is_compiling() and down == 0 and right == 0):
        return image
    if padding.mode == "reflect":
        return image.index_select(-2, reflected(height, down, image)).index_select(-1, reflected(width, right, image))
    mode = "constant" if padding.mode == "zeros" else "replicate"
    return F.pad(image, (0, right, 0, down), mode)


def cropped(image: Tensor, height: int, width: int) -> Tensor:
    """(B, C, more, more) → (B, C, height, width): crop the padding at the bottom and right.

    A plain slice would make a trace check whether it covers everything, and fix the answer for all images.
    """
    if not torch.compiler.is_compiling():
        return image[..., :height, :width]
    return F.pad(image, (0, width - image.shape[-1], 0, height - image.shape[-2]))


def alignment_of(encoder: EncoderConfig) -> int:
    """The multiple at which tiles start, so that they equal the whole image there and need no padding."""
    return math.lcm(encoder.alignment(), encoder.padding().multiple)


def multiple_of(length: int, padding: Padding) -> int:
    """The padded length, written so that a trace recognizes it as a multiple."""
    return (length + padding.multiple - 1) // padding.multiple * padding.multiple


def reflected(length: int, after: int, image: Tensor, before: int = 0) -> Tensor:
    """For each pixel of the padded axis, the pixel of the axis that it repeats."""
    # Both operands are tensors, because ONNX has no remainder of a tensor by a symbol.
    period = torch.full((), torch.sym_max(2 * length - 2, 1), dtype=torch.int64, device=image.device)
    position = torch.arange(-before, length + after, device=image.device).remainder(period)
    return torch.minimum(position, period - position)
