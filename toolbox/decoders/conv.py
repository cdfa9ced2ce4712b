"""Convolutions: features become an image of the same size."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from toolbox.config import DecoderConfig
from toolbox.records import ComponentInfo


class ConvConfig(DecoderConfig):
    """Settings of the convolutions."""

    kernel_size: Literal[1, 3, 5, 7] = Field(default=3, description="pixels along a side of the kernels")
    bias: bool = Field(default=True, description="whether the last convolution adds a number to each channel")
    hidden: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        default=(), description="channels of more convolutions in front, each followed by a ReLU"
    )
    relu: bool = Field(default=False, description="apply a ReLU to the features first")

    def sizes(self) -> Literal["same", "any"] | int:
        return "same"

    def receptive_field(self) -> int | None:
        return self.kernel_size // 2 * (len(self.hidden) + 1)


class Conv(nn.Module):
    """(B, features, H, W) → (B, channels, H, W), with zeros beyond the border."""

    def __init__(self, config: ConvConfig, features: int, channels: int) -> None:
        super().__init__()
        padding = config.kernel_size // 2
        hidden: list[nn.Module] = [nn.ReLU()] if config.relu else []
        for width in config.hidden:
            hidden += [nn.Conv2d(features, width, config.kernel_size, padding=padding), nn.ReLU()]
            features = width
        self.hidden = nn.Sequential(*hidden)
        self.conv = nn.Conv2d(features, channels, config.kernel_size, padding=padding, bias=config.bias)

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) and (H, W) → (B, channels, H, W)."""
        image: Tensor = self.conv(self.hidden(features))
        return image


CONV = ComponentInfo(
    kind="decoder",
    name="conv",
    factory=Conv,
    config=ConvConfig,
    summary="one convolution at the same size, or several",
    paper="none: the plainest head there is",
)
