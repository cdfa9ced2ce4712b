"""Projections between the resolutions of the features and of the enlarged image."""

from __future__ import annotations

from typing import Literal

from torch import nn

Scale = Literal[2, 3, 4, 8]
PADDING = 2  # pixels of the enlarged image
SLOPE = 0.2  # the first slope of every PReLU, which has one for all channels


def up(channels: int, scale: int) -> nn.Sequential:
    """A transposed convolution and a PReLU: (B, channels, H, W) → (B, channels, s·H, s·W)."""
    return nn.Sequential(nn.ConvTranspose2d(channels, channels, scale + 4, scale, PADDING), nn.PReLU(init=SLOPE))


def down(channels: int, scale: int) -> nn.Sequential:
    """A convolution and a PReLU: (B, channels, s·H, s·W) → (B, channels, H, W)."""
    return nn.Sequential(nn.Conv2d(channels, channels, scale + 4, scale, PADDING), nn.PReLU(init=SLOPE))


def joined(channels: int, count: int) -> nn.Sequential:
    """A 1 × 1 convolution and a PReLU: (B, count · channels, H, W) → (B, channels, H, W)."""
    return nn.Sequential(nn.Conv2d(count * channels, channels, 1), nn.PReLU(init=SLOPE))
