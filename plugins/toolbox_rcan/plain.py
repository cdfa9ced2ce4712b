"""RCAN's encoder as it is published: channel attention on the result of each block.

An oracle for the fast encoder, and what `toolbox bench` measures it against. It takes the encoder's own weights and
nothing else of it.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from toolbox.plugin import linear


def rcan(encoder: Any, image: Tensor) -> Tensor:
    """RCAN's features as published, (B, channels, H, W) → (B, C, H, W)."""
    shallow = _conv(encoder.head, image)
    features = shallow
    for group in encoder.groups:
        residual = features
        for block in group.blocks:
            residual = _block(block, residual)
        features = features + _conv(group.tail, residual)
    return shallow + _conv(encoder.tail, features)


def _block(block: Any, features: Tensor) -> Tensor:
    residual = _conv(block.second, F.relu(_conv(block.first, features)))
    attention = block.attention
    mean = F.adaptive_avg_pool2d(residual, 1)
    squeezed = F.relu(linear(mean, attention.squeeze.weight, attention.squeeze.bias))
    factors = linear(squeezed, attention.excite.weight, attention.excite.bias).sigmoid()
    return features + block.scale * (residual * factors)


def _conv(convolution: Any, features: Tensor) -> Tensor:
    return F.conv2d(features, convolution.weight, convolution.bias, padding=1)
