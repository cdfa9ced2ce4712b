"""Restormer as its paper states it: queries and keys are normalized, and each head is a product, one after the other.

An oracle for the fast network, and the yardstick of `toolbox bench`. It takes the modules' own weights and nothing
else of them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def mdta(block: Any, features: Tensor) -> Tensor:
    """A ``MDTABlock``."""
    gathered = attention(block.attention, features)
    return features + gathered if block.skip else gathered


def restormer(encoder: Any, image: Tensor) -> Tensor:
    """A ``Restormer``, block by block."""
    features, skips = encoder.embed(image), []
    for blocks, down in zip(encoder.encoders, encoder.downs, strict=True):
        skips.append(_blocks(blocks, features))
        features = F.pixel_unshuffle(down(skips[-1]), 2)
    features = _blocks(encoder.latent, features)
    for blocks, up, reduce in zip(encoder.decoders, encoder.ups, encoder.reduces, strict=True):
        features = torch.cat((F.pixel_shuffle(up(features), 2), skips.pop()), 1)
        features = _blocks(blocks, reduce(features))
    return _blocks(encoder.refinement, features)


def transformer_block(block: Any, features: Tensor) -> Tensor:
    """A ``TransformerBlock``."""
    features = features + attention(block.attention, _norm(block.norm_a, features))
    network, normed = block.feed_forward, _norm(block.norm_b, features)
    gate, value = network.depthwise(network.expand(normed)).chunk(2, 1)
    activated: Tensor = gate * (1 + torch.erf(gate / 2**0.5)) / 2
    return features + F.conv2d(activated * value, network.project.weight)


def attention(module: Any, features: Tensor) -> Tensor:
    """A ``MDTA``."""
    width = features.shape[1] // module.heads
    queries, keys, values = module.depthwise(module.qkv(features)).chunk(3, 1)
    gathered = []
    for head, temperature in enumerate(module.temperature):
        query, key, value = (each[:, head * width : (head + 1) * width].flatten(2) for each in (queries, keys, values))
        score = F.normalize(query, dim=2) @ F.normalize(key, dim=2).mT
        gathered.append((score * temperature).softmax(2) @ value)
    return F.conv2d(torch.cat(gathered, 1).unflatten(2, features.shape[2:]), module.project.weight)


def _blocks(blocks: Any, features: Tensor) -> Tensor:
    for block in blocks:
        features = transformer_block(block, features)
    return features


def _norm(norm: Any, features: Tensor) -> Tensor:
    mean = features.mean(1, keepdim=True)
    variance = (features - mean).square().mean(1, keepdim=True)
    centered = features if norm.bias is None else features - mean
    bias = 0 if norm.bias is None else norm.bias[:, None, None]
    return centered / (variance + 1e-5).sqrt() * norm.weight[:, None, None] + bias
