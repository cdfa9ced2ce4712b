"""NAFNet's block, without a nonlinear activation.

What is linear costs nothing here. The scale and shift of a layer norm go into the 1×1 convolution behind it. The
factors of channel attention multiply the inputs of a 1×1 convolution, and β and γ the outputs of two, so all of them
multiply weights. The rest is memory traffic. Bands of rows keep all that has twice the channels in the cache; only the
gated features of the whole image are stored, because channel attention needs their mean first.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox_nafnet.local_mean import local_mean

EPSILON = 1e-6  # of the layer norms
Window = tuple[int, int] | None  # (height, width) for the mean of channel attention; None: the whole image


class NAFBlock(nn.Module):
    """(B, C, H, W) → the same shape; the identity until it is trained.

    Source: Chen et al., "Simple Baselines for Image Restoration", ECCV 2022, Figure 3c; with a ``window``, Chu et al.,
    "Improving Image Restoration by Revisiting Global Information Aggregation", ECCV 2022.
    """

    band = 2**18  # values of a band of rows, about

    def __init__(self, channels: int, window: Window = None) -> None:
        super().__init__()
        self.window = window
        self.norm1, self.norm2 = nn.LayerNorm(channels, EPSILON), nn.LayerNorm(channels, EPSILON)
        self.expand1, self.expand2 = nn.Linear(channels, 2 * channels), nn.Linear(channels, 2 * channels)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.attention = nn.Linear(channels, channels)
        self.project1, self.project2 = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.beta, self.gamma = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        pixels = features.permute(0, 2, 3, 1)
        gated = self._in_bands(pixels, self._gates(pixels))
        return self._in_bands(pixels, self._ends(pixels, gated)).permute(0, 3, 1, 2)

    def _gates(self, pixels: Tensor) -> Callable[[int, int], Tensor]:
        """Compute the gated result of the depthwise convolution, (B, rows, W, C), for rows [top, bottom)."""
        expand = _after_norm(self.norm1, self.expand1)

        def gated(top: int, bottom: int) -> Tensor:
            outer = max(top - 1, 0)
            expanded = _expanded(pixels[:, outer : bottom + 1], *expand)
            filtered = self.depthwise(expanded.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            return _gate(filtered.narrow(1, top - outer, bottom - top))

        return gated

    def _ends(self, pixels: Tensor, gated: Tensor) -> Callable[[int, int], Tensor]:
        """Compute the result of the block, (B, rows, W, C), for rows [top, bottom)."""
        expand, project = _after_norm(self.norm2, self.expand2), _scaled(self.project2, self.gamma)
        weight, bias = _scaled(self.project1, self.beta)
        if self.window is None:
            weight = weight * self.attention(gated.mean((1, 2)))[:, None]  # (B, C, C)
        else:
            gated = gated * self.attention(local_mean(gated, self.window))

        def end(top: int, bottom: int) -> Tensor:
            middle = _added(pixels[:, top:bottom], gated[:, top:bottom], weight, bias)
            return _added(middle, _gate(_expanded(middle, *expand)), *project)

        return end

    def _in_bands(self, pixels: Tensor, rows: Callable[[int, int], Tensor]) -> Tensor:
        """All rows of (B, H, W, C), in bands unless a gradient or a trace needs them at once."""
        batch, height, width, channels = pixels.shape
        if torch.compiler.is_compiling() or torch.is_grad_enabled():
            return rows(0, height)
        step = max(4, self.band // (batch * width * channels))
        if step >= height:
            return rows(0, height)
        result = pixels.new_empty(pixels.shape)
        for top in range(0, height, step):
            bottom = min(top + step, height)
            result[:, top:bottom] = rows(top, bottom)
        return result


def _after_norm(norm: nn.LayerNorm, linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """The weight and the bias of a linear layer that has the scale and shift of the layer norm before it."""
    return linear.weight * norm.weight, torch.addmv(linear.bias, linear.weight, norm.bias)


def _scaled(linear: nn.Linear, scale: Tensor) -> tuple[Tensor, Tensor]:
    """The weight and the bias of a linear layer whose outputs are scaled."""
    return linear.weight * scale[:, None], linear.bias * scale


def _expanded(pixels: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Normalize the channels of each pixel, and double them: (B, H, W, C) → (B, H, W, 2C)."""
    return F.linear(F.layer_norm(pixels, pixels.shape[-1:], eps=EPSILON), weight, bias)


def _gate(values: Tensor) -> Tensor:
    """The first half of the channels times the second half: (..., 2C) → (..., C)."""
    first, second = values.chunk(2, -1)
    return first * second


def _added(pixels: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Pixels (B, H, W, C) and a linear layer of the inputs, whose weight may differ from image to image (B, C, C)."""
    if weight.ndim == 2:
        return F.linear(inputs, weight, bias).add_(pixels)
    return torch.baddbmm(bias, inputs.flatten(1, 2), weight.mT).view(pixels.shape).add_(pixels)
