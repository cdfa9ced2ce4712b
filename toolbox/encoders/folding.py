"""Re-parameterized convolutions: they train in several parts, and one convolution computes the same."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Form = Literal["training", "folded"]


class Foldable(nn.Module):
    """A module that has a simpler form for use. ``toolbox.weights.fold`` replaces its tensors."""

    def folded_state(self) -> dict[str, Tensor]:
        """The state dict of its folded form, which computes the same."""
        raise NotImplementedError


class ExpandedConv2d(Foldable):
    """A 3×3 convolution as the sum of two paths: 1×1 to ``gain`` times the channels, 3×3, 1×1 back; and 1×1.

    (B, inputs, H, W) → (B, outputs, H, W), with zeros beyond the border of the input. All of it is linear, so forward
    computes the kernel of the one convolution that does the same, which costs less than the parts by about the square
    of the gain. Gradients reach the parts through that kernel.

    Source: Wan et al., "Swift Parameter-free Attention Network for Efficient Super-Resolution", CVPRW 2024, Fig. 4.
    """

    def __init__(self, inputs: int, outputs: int, gain: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(inputs, gain * inputs, 1)
        self.conv = nn.Conv2d(gain * inputs, gain * outputs, 3)
        self.reduce = nn.Conv2d(gain * outputs, outputs, 1)
        self.skip = nn.Conv2d(inputs, outputs, 1)

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Weight (outputs, inputs, 3, 3) and bias (outputs,) of the one convolution."""
        expand, reduce, skip = (part.weight.flatten(1) for part in (self.expand, self.reduce, self.skip))
        weight = torch.einsum("om,mnyx,ni->oiyx", reduce, self.conv.weight, expand)
        weight = weight + F.pad(skip[:, :, None, None], (1, 1, 1, 1))
        parts = (self.expand, self.conv, self.reduce, self.skip)
        expanded, inner, reduced, skipped = (part.bias for part in parts if part.bias is not None)
        bias = reduce @ (self.conv.weight.sum((2, 3)) @ expanded + inner) + reduced + skipped
        return weight, bias

    def folded_state(self) -> dict[str, Tensor]:
        """The weight and the bias of the one convolution."""
        weight, bias = self.kernel()
        return {"weight": weight.detach(), "bias": bias.detach()}

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, H, W) → (B, outputs, H, W)."""
        return F.conv2d(features, *self.kernel(), padding=1)


def folding_conv(inputs: int, outputs: int, gain: int, form: Form) -> nn.Module:
    """A 3×3 convolution that keeps the size, in one of its forms."""
    if form == "folded":
        return nn.Conv2d(inputs, outputs, 3, padding=1)
    return ExpandedConv2d(inputs, outputs, gain)


def in_parts(conv: nn.Module, features: Tensor) -> Tensor:
    """The plain version of a convolution in either form: every part is applied to the features."""
    if not isinstance(conv, ExpandedConv2d):
        result: Tensor = conv(features)
        return result
    expanded = conv.conv(conv.expand(F.pad(features, (1, 1, 1, 1))))
    summed: Tensor = conv.reduce(expanded) + conv.skip(features)
    return summed
