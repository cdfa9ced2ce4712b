"""CSNLN's attention across scales by itself: larger copies of the features, found among the features."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, DecoderConfig, Padding, laid_down, shrunk
from toolbox_nonlocal.plain import exemplars

OVERLAPS = 6.0  # divisor of the patches that lie over one another


def embedding(channels: int, outputs: int) -> nn.Sequential:
    """A 1×1 convolution with a PReLU."""
    return nn.Sequential(nn.Conv2d(channels, outputs, 1), nn.PReLU())


class Across(nn.Module):
    """Attention across scales: features (B, C, H, W), sides multiples of s → (B, C, s · H, s · W)."""

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        embedded = max(1, channels // 2)
        self.query, self.key, self.value = (embedding(channels, width) for width in (embedded, embedded, channels))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, s · H, s · W)."""
        keys = self.key(shrunk(features, self.scale))
        return laid_down(self.query(features), keys, self.value(features), self.scale) / OVERLAPS


class ExemplarsConfig(DecoderConfig):
    """Settings of attention across scales as a decoder."""

    scale: Literal[2, 3, 4] = Field(default=2, description="how much larger the gathered patches are")

    def sizes(self) -> Literal["same", "any"] | int:
        return self.scale

    def receptive_field(self) -> int | None:
        return None

    def padding(self) -> Padding:
        return Padding(self.scale, "reflect")

    def check_join(self, features: int, channels: int) -> None:
        if features != channels:
            raise ValueError(f"exemplars got {features} channels, expected {channels}; set output_channels: {features}")


class ExemplarsDecoder(nn.Module):
    """Features (B, C, H, W) → (B, C, s · H, s · W): each pixel gathers what looks like it when shrunk by s.

    The sides are multiples of s. The receptive field is the whole image.

    Source: Mei et al., "Image Super-Resolution with Cross-Scale Non-Local Attention and Exhaustive Self-Exemplars
    Mining", CVPR 2020, Section 3.1, after the published code.
    """

    def __init__(self, config: ExemplarsConfig, features: int, channels: int) -> None:
        super().__init__()
        self.across = Across(features, config.scale)

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, C, H, W) and (s · H, s · W) → (B, C, s · H, s · W)."""
        gathered: Tensor = self.across(features)
        return gathered


EXEMPLARS = ComponentInfo(
    kind="decoder",
    name="exemplars",
    factory=ExemplarsDecoder,
    config=ExemplarsConfig,
    summary="CSNLN's attention across scales alone: the features ×2, ×3 or ×4, by larger copies of their patches",
    paper="Mei et al., Image Super-Resolution with Cross-Scale Non-Local Attention, CVPR 2020",
    plain=exemplars,
    url="https://arxiv.org/abs/2006.01424",
)
