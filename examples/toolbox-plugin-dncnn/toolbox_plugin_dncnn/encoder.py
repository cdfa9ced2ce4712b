"""DnCNN's body: convolutions with ReLU, one after the other."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, EncoderConfig


class DnCNNConfig(EncoderConfig):
    """Settings of DnCNN's body."""

    channels: int = Field(default=64, gt=0, description="of every layer")
    convolutions: int = Field(default=16, gt=0, le=1000, description="before the one that gives the residual")

    def out_channels(self, channels: int) -> int:
        return self.channels

    def receptive_field(self) -> int | None:
        return self.convolutions


class DnCNN(nn.Module):
    """Image (B, channels, H, W) → features (B, config.channels, H, W), not negative.

    Source: Zhang et al., "Beyond a Gaussian Denoiser", IEEE TIP 2017, Section III-A, without batch norm,
    which published weights have merged into the convolutions.
    """

    def __init__(self, config: DnCNNConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        convolutions = [
            nn.Conv2d(config.channels if number else channels, config.channels, 3, padding=1)
            for number in range(config.convolutions)
        ]
        for convolution in convolutions:
            nn.init.kaiming_normal_(convolution.weight)
        self.convolutions = nn.ModuleList(convolutions)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        features = image
        for convolution in self.convolutions:
            features = convolution(features).relu_()
        return features


DNCNN_ENCODER = ComponentInfo(
    kind="encoder",
    name="dncnn",
    factory=DnCNN,
    config=DnCNNConfig,
    summary="convolutions with ReLU, one after the other",
    paper="Zhang et al., Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising, IEEE TIP 2017",
    example={"channels": 4, "convolutions": 3},
    url="https://arxiv.org/abs/1608.03981",
)
