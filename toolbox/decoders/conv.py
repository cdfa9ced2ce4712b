"""One convolution: features become an image of the same size."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from toolbox.config import DecoderConfig
from toolbox.records import ComponentInfo


class ConvConfig(DecoderConfig):
    """Settings of the convolution."""

    kernel_size: Literal[1, 3, 5, 7] = Field(default=3, description="pixels along a side of the kernel")
    bias: bool = Field(default=True, description="whether the convolution adds a number to each channel")

    def sizes(self) -> Literal["same", "any"] | int:
        return "same"

    def receptive_field(self) -> int | None:
        return self.kernel_size // 2


class Conv(nn.Module):
    """(B, features, H, W) → (B, channels, H, W), with zeros beyond the border."""

    def __init__(self, config: ConvConfig, features: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(features, channels, config.kernel_size, padding=config.kernel_size // 2, bias=config.bias)

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) and (H, W) → (B, channels, H, W)."""
        image: Tensor = self.conv(features)
        return image


CONV = ComponentInfo(
    kind="decoder",
    name="conv",
    factory=Conv,
    config=ConvConfig,
    summary="one convolution at the same size",
    paper="none: the plainest head there is",
)
