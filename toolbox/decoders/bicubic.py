"""Bicubic interpolation: the baseline that needs no weights."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.config import DecoderConfig
from toolbox.registry import ComponentInfo


class BicubicConfig(DecoderConfig):
    """No settings."""

    def sizes(self) -> Literal["same", "any"] | int:
        return "any"

    def receptive_field(self) -> int | None:
        return 2

    def check_join(self, features: int, channels: int) -> None:
        if features != channels:
            raise ValueError(f"bicubic got {features} channels, expected an image of {channels}; use encoder identity")


class Bicubic(nn.Module):
    """(B, C, H, W) → (B, C, *size), as ``resize`` does it.

    Source: Keys, "Cubic Convolution Interpolation for Digital Image Processing", IEEE TASSP 1981.
    """

    def __init__(self, config: BicubicConfig, features: int, channels: int) -> None:
        super().__init__()

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, C, H, W) → (B, C, *size)."""
        return resize(features, size)


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (B, C, H, W) bicubically, in the same range (with overshoot); the same size is exact.

    Enlarging is torch's bicubic (a = −0.75); where an axis shrinks, the kernel is widened against
    aliasing (a = −0.5).
    """
    height, width = image.shape[-2:]
    if size == (height, width):
        return image
    if size[0] >= height and size[1] >= width:
        return F.interpolate(image, size=size, mode="bicubic")
    return antialiased(image, size)


def antialiased(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (B, C, H, W) with the bicubic kernel a = −0.5, widened where an axis shrinks."""
    if size[1] == 1 < size[0]:  # torch repeats the first row in outputs of width 1
        return antialiased(image.mT, (1, size[0])).mT
    return F.interpolate(image, size=size, mode="bicubic", antialias=True)


BICUBIC = ComponentInfo(
    kind="decoder",
    name="bicubic",
    factory=Bicubic,
    config=BicubicConfig,
    summary="bicubic interpolation of the image itself, to any size",
    paper="Keys, Cubic Convolution Interpolation for Digital Image Processing, IEEE TASSP 1981",
)
