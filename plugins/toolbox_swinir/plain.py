"""The plain version of SwinIR's encoder: windows are shifted by rolling, and a mask keeps strangers apart."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

MASKED = -100.0  # added to the scores of pixels that are no neighbors in the picture


def swinir(encoder: Any, image: Tensor) -> Tensor:
    """An encoder's features of an image (B, channels, H, W), whose sides are multiples of the window."""
    shallow = encoder.shallow(image)
    features = _normalized(shallow, encoder.first_norm)
    for group in encoder.groups:
        inner = features
        for block in group.blocks:
            inner = _block(block, inner)
        features = features + group.convolutions(inner)
    return shallow + encoder.convolutions(_normalized(features, encoder.last_norm))


def _normalized(features: Tensor, norm: Any) -> Tensor:
    pixels = F.layer_norm(rearrange(features, "b c h w -> b h w c"), norm.weight.shape, norm.weight, norm.bias)
    return rearrange(pixels, "b h w c -> b c h w")


def _block(block: Any, features: Tensor) -> Tensor:
    height, width = features.shape[2:]
    side, start = block.window, block.start
    pixels = rearrange(features, "b c h w -> b h w c")
    rolled = torch.roll(block.attention_norm(pixels), (-start, -start), (1, 2))
    windows = rearrange(rolled, "b (y h) (x w) c -> b (y x) (h w) c", h=side, w=side)
    attended = _attention(block, windows, _mask(height, width, side, start, like=features))
    shape = {"y": height // side, "x": width // side, "h": side}
    attended = rearrange(attended, "b (y x) (h w) c -> b (y h) (x w) c", **shape)
    pixels = pixels + torch.roll(attended, (start, start), (1, 2))
    pixels = pixels + block.narrow(F.gelu(block.widen(block.mlp_norm(pixels))))
    return rearrange(pixels, "b h w c -> b c h w")


def _attention(block: Any, windows: Tensor, mask: Tensor | None) -> Tensor:
    """(B, windows, pixels, C) and a mask (windows, pixels, pixels) → (B, windows, pixels, C)."""
    q, k, v = rearrange(block.qkv(windows), "b n p (part head d) -> part b n head p d", part=3, head=block.heads)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1) + _bias(block)
    if mask is not None:
        scores = scores + mask[:, None]
    return block.projection(rearrange(scores.softmax(-1) @ v, "b n head p d -> b n p (head d)"))


def _bias(block: Any) -> Tensor:
    """(heads, pixels, pixels): the bias of each pair of pixels in a window, looked up by their offset."""
    side = block.window
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    place = torch.stack((y.flatten(), x.flatten()))
    down, right = place[:, :, None] - place[:, None, :] + side - 1
    return block.bias[(2 * side - 1) * down + right].permute(2, 0, 1)


def _mask(height: int, width: int, side: int, start: int, like: Tensor) -> Tensor | None:
    """(windows, pixels, pixels): 0 for pixels that were in the same one of 3 × 3 regions before the roll."""
    if start == 0:
        return None
    region = like.new_zeros(height, width)
    bands = (slice(0, -side), slice(-side, -start), slice(-start, None))
    for i, rows in enumerate(bands):
        for j, columns in enumerate(bands):
            region[rows, columns] = 3 * i + j
    windows = rearrange(region, "(y h) (x w) -> (y x) (h w)", h=side, w=side)
    return MASKED * (windows[:, :, None] != windows[:, None, :]).to(like.dtype)
