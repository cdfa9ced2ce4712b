"""A skip around any encoder that keeps its channels."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from toolbox.config import EncoderConfig
from toolbox.records import ComponentInfo
from toolbox.spec import EncoderSpec


class ResidualConfig(EncoderConfig):
    """Settings of a skip around an encoder."""

    encoder: EncoderSpec
    scale: float = Field(default=1.0, gt=0, description="factor for the encoder's features")

    def out_channels(self, channels: int) -> int:
        inner: int = self.encoder.config.out_channels(channels)
        if inner != channels:
            raise ValueError(f"residual got {inner} channels of {self.encoder.name!r} for {channels}, expected as many")
        return channels

    def receptive_field(self) -> int | None:
        radius: int | None = self.encoder.config.receptive_field()
        return radius


class Residual(nn.Module):
    """x + scale · encoder(x), (B, C, H, W) → the same shape.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """

    def __init__(self, config: ResidualConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        self.scale = config.scale
        self.encoder = config.encoder.build(channels=channels)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        features: Tensor = image + self.scale * self.encoder(image)
        return features


RESIDUAL = ComponentInfo(
    kind="encoder",
    name="residual",
    factory=Residual,
    config=ResidualConfig,
    summary="a skip around any encoder that keeps its channels",
    paper="He et al., Deep Residual Learning for Image Recognition, CVPR 2016",
    example={"encoder": {"name": "pixel-unshuffle", "encoder": {"name": "edsr", "channels": 12, "blocks": 1}}},
    url="https://arxiv.org/abs/1512.03385",
)
