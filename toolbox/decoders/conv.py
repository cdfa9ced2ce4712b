"""One convolution at the same size: the plainest head that gives an image."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from toolbox.config import DecoderConfig
from toolbox.registry import ComponentInfo


class ConvConfig(DecoderConfig):
    """No settings."""

    def sizes(self) -> Literal["same", "any"] | int:
        return "same"

    def receptive_field(self) -> int | None:
        return 1


class Conv(nn.Module):
    """A 3×3 convolution: (B, features, H, W) → (B, channels, H, W).

    Nothing is normalized, so the scale of the output never depends on the rest of the batch.

    Source: the last layer of Lim et al., "Enhanced Deep Residual Networks for Single Image
    Super-Resolution", CVPRW 2017, and of Zhang et al., "FFDNet", TIP 2018.
    """

    def __init__(self, config: ConvConfig, features: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(features, channels, 3, padding=1)

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
    paper="Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, CVPRW 2017",
)
