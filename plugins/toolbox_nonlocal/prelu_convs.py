"""Convolutions, each with a PReLU: the head of CSNLN."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, EncoderConfig


class PReLUConvsConfig(EncoderConfig):
    """Settings of a few convolutions."""

    channels: int = Field(default=128, gt=0)
    layers: int = Field(default=2, gt=0, le=100, description="convolutions")

    def out_channels(self, channels: int) -> int:
        return self.channels

    def receptive_field(self) -> int | None:
        return self.layers


class PReLUConvs(nn.Module):
    """3×3 convolutions, each with a PReLU of one slope: image (B, channels, H, W) → (B, config.channels, H, W).

    Source: the head of Mei et al., "Image Super-Resolution with Cross-Scale Non-Local Attention and Exhaustive
    Self-Exemplars Mining", CVPR 2020.
    """

    def __init__(self, config: PReLUConvsConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.channels
        layers: list[nn.Module] = []
        for number in range(config.layers):
            inputs = config.channels if number else channels
            layers += [nn.Conv2d(inputs, config.channels, 3, padding=1), nn.PReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        features: Tensor = self.layers(image)
        return features


PRELU_CONVS = ComponentInfo(
    kind="encoder",
    name="prelu-convs",
    factory=PReLUConvs,
    config=PReLUConvsConfig,
    summary="a few convolutions, each with a PReLU",
    paper="Mei et al., Image Super-Resolution with Cross-Scale Non-Local Attention, CVPR 2020",
    example={"channels": 4},
    url="https://arxiv.org/abs/2006.01424",
)
