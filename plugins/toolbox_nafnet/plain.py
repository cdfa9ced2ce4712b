"""NAFNet's encoders as they are published: every norm, gain and attention on the features themselves.

An oracle for the fast encoders, and what `toolbox bench` measures them against. It takes an encoder's own weights and
nothing else of it.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from toolbox.plugin import linear


def naf(encoder: Any, image: Tensor) -> Tensor:
    """Blocks at one resolution as published: (B, channels, H, W) → (B, C, H, W)."""
    return _all(encoder.blocks, encoder.intro(image))


def nafnet(encoder: Any, image: Tensor) -> Tensor:
    """The U-net as published: (B, channels, H, W) → (B, C, H, W)."""
    features = encoder.intro(image)
    skips = []
    for blocks, down in zip(encoder.encoders, encoder.downs, strict=True):
        features = _all(blocks, features)
        skips.append(features)
        features = down(features)
    features = _all(encoder.middle, features)
    for up, blocks, skip in zip(encoder.ups, encoder.decoders, reversed(skips), strict=True):
        features = _all(blocks, F.pixel_shuffle(up(features), 2) + skip)
    return features


def _all(blocks: Any, features: Tensor) -> Tensor:
    for each in blocks:
        features = block(each, features)
    return features


def block(module: Any, features: Tensor) -> Tensor:
    """A block as published: (B, C, H, W) → the same shape."""
    expanded = module.depthwise(_linear(_norm(features, module.norm1), module.expand1))
    gated = _gate(expanded)
    gated = gated * _linear(_mean(gated, module.window), module.attention)
    features = features + _linear(gated, module.project1) * module.beta.view(1, -1, 1, 1)
    gated = _gate(_linear(_norm(features, module.norm2), module.expand2))
    return features + _linear(gated, module.project2) * module.gamma.view(1, -1, 1, 1)


def _norm(features: Tensor, norm: Any) -> Tensor:
    """Layer norm over the channels of each pixel."""
    centered = features - features.mean(1, keepdim=True)
    normalized = centered / (centered.pow(2).mean(1, keepdim=True) + 1e-6).sqrt()
    return normalized * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)


def _linear(features: Tensor, layer: Any) -> Tensor:
    return linear(features, layer.weight, layer.bias)


def _gate(features: Tensor) -> Tensor:
    first, second = features.chunk(2, 1)
    return first * second


def _mean(features: Tensor, window: tuple[int, int] | None) -> Tensor:
    """The mean over the image, or over a window as large as the image at most, repeated at the border."""
    if window is None:
        return F.adaptive_avg_pool2d(features, 1)
    size = [min(side, length) for side, length in zip(window, features.shape[2:], strict=True)]
    before, after = ([(side - 1) // 2 for side in size], [side // 2 for side in size])
    return F.pad(F.avg_pool2d(features, size, 1), (before[1], after[1], before[0], after[0]), "replicate")
