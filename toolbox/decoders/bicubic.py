"""Bicubic interpolation: the baseline that needs no weights."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from toolbox.config import DecoderConfig
from toolbox.records import ComponentInfo
from toolbox.resize import resize


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
    """(B, C, H, W) → (B, C, *size), by ``resize``.

    Source: Keys, "Cubic Convolution Interpolation for Digital Image Processing", IEEE TASSP 1981.
    """

    def __init__(self, config: BicubicConfig, features: int, channels: int) -> None:
        super().__init__()

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, C, H, W) → (B, C, *size)."""
        return resize(features, size)


BICUBIC = ComponentInfo(
    kind="decoder",
    name="bicubic",
    factory=Bicubic,
    config=BicubicConfig,
    summary="bicubic interpolation of the image itself, to any size",
    paper="Keys, Cubic Convolution Interpolation for Digital Image Processing, IEEE TASSP 1981",
)
