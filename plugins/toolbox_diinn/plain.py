"""DIINN's decoder as published: 1×1 convolutions at output resolution.

The tests compare the fast decoder with it, and `toolbox bench` times one against the other. It shares only
the weights with the fast decoder.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.plugin import linear


def dual_interactive(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """DIINN's decoder at output resolution: unfold, nearest-exact, concatenate, 1×1 convolutions."""
    config = decoder.config
    batch, _, height, width = features.shape
    pixels = torch.arange(height * width, dtype=torch.float32).view(1, 1, height, width)
    nearest = F.interpolate(pixels, size=size, mode="nearest-exact").long()[0, 0]
    content = F.unfold(features, 3, padding=1)[:, :, nearest.flatten()].unflatten(2, size)

    y = (torch.arange(size[0], dtype=features.dtype) + 0.5) * height / size[0]
    x = (torch.arange(size[1], dtype=features.dtype) + 0.5) * width / size[1]
    dy = y[:, None] - (nearest // width + 0.5)
    dx = x[None, :] - (nearest % width + 0.5)
    ratio = torch.full_like(dy, height * width / (size[0] * size[1]))
    position = torch.stack((2 * dy, 2 * dx, ratio)).expand(batch, -1, -1, -1)

    if config.initial_synthesis:
        position = torch.sin(linear(position, decoder.initial.weight, decoder.initial.bias))
        content = position * content

    of_content = decoder.content.weight.flatten(1)
    k = F.relu(linear(content, of_content[: config.hidden[0]], decoder.content.bias[: config.hidden[0]]))
    q = k * torch.sin(linear(position, decoder.synthesis[0].weight, decoder.synthesis[0].bias))
    done = config.hidden[0]
    for i, channels in enumerate(config.hidden[1:], 1):
        own = decoder.modulation[i - 1]
        if config.modulation_input == "modulation":
            k = F.relu(linear(k, own.weight, own.bias))
        else:
            carried = k if config.modulation_input == "modulation+content" else q
            weight = torch.cat((own.weight, of_content[done : done + channels]), 1)
            bias = decoder.content.bias[done : done + channels]
            k = F.relu(linear(torch.cat((carried, content), 1), weight, bias))
        q = k * torch.sin(linear(q, decoder.synthesis[i].weight, decoder.synthesis[i].bias))
        done += channels
    kernel = config.output_kernel
    if kernel == 1:
        return linear(q, decoder.output.weight[:, :, 0, 0], decoder.output.bias)
    reflected = F.pad(q, [1] * 4, mode="reflect")
    return F.conv2d(reflected, decoder.output.weight, decoder.output.bias)
