"""LMF's render network: narrow, so that it costs little per position, and modulated by its feature pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Render(nn.Module):
    """Hidden layers y → relu((1 + scale) · (W y + b) + shift), and a linear layer to the channels.

    Scale and shift belong to a feature pixel and are the same at all its positions. So are the bias of the first layer
    and its values for inputs that do not depend on the position, which therefore join the shift.
    """

    def __init__(self, inputs: int, width: int, depth: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.last = nn.Linear(width, channels)
        self.width, self.modulations = width, 2 * depth * width

    def modulated(self, modulation: Tensor, first: Tensor) -> Tensor:
        """Scales and then shifts (..., modulations) → factors and then summands (..., modulations), of all layers.

        ``first`` (..., width) is the result of the first layer without the position, with its bias.
        """
        scale, shift = modulation.chunk(2, -1)
        factor, width = 1 + scale, self.width
        summand = torch.addcmul(shift[..., :width], factor[..., :width], first)
        return torch.cat((factor, summand, shift[..., width:]), -1)

    def forward(self, modulated: Tensor, position: Tensor) -> Tensor:
        """Factors and summands (..., modulations) → (..., channels), which broadcast with the position.

        ``position`` (..., width) is the result of the first layer for the position.
        """
        factors, summands = (each.split(self.width, -1) for each in modulated.chunk(2, -1))
        hidden = torch.addcmul(summands[0], factors[0], position).relu_()
        for layer, factor, summand in zip(self.hidden, factors[1:], summands[1:], strict=True):
            hidden = torch.addcmul(summand, factor, layer(hidden)).relu_()
        return self.last(hidden)
