"""A single non-local block on the image itself."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from toolbox.config import EncoderConfig
from toolbox.records import ComponentInfo
from toolbox.spec import NonLocalSpec


class NonLocalOnlyConfig(EncoderConfig):
    """Settings of the encoder that consists of one non-local block."""

    nonlocal_block: NonLocalSpec = Field(alias="nonlocal")

    def out_channels(self, channels: int) -> int:
        self.nonlocal_block.config.check_channels(channels)
        return channels

    def receptive_field(self) -> int | None:
        radius: int | None = self.nonlocal_block.config.receptive_field()
        return radius


class NonLocalOnly(nn.Module):
    """Image (B, C, H, W) → the same shape: one application of a non-local block.

    Source: Buades et al., "A Non-Local Algorithm for Image Denoising", CVPR 2005, with their block.
    """

    def __init__(self, config: NonLocalOnlyConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.nonlocal_block = config.nonlocal_block.build(channels=channels)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        features, _ = self.nonlocal_block(image, None)
        return features


NONLOCAL_ONLY = ComponentInfo(
    kind="encoder",
    name="nonlocal",
    factory=NonLocalOnly,
    config=NonLocalOnlyConfig,
    summary="one non-local block on the image itself",
    paper="Buades et al., A Non-Local Algorithm for Image Denoising, CVPR 2005",
    example={
        "nonlocal": {
            "name": "wang-nonlocal",
            "neighborhood": {"kind": "window", "size": 3, "border": "zero"},
            "inner_channels": 2,
        }
    },
)
