"""An encoder at a fraction of the resolution: space to depth around any other encoder."""

from __future__ import annotations

from dataclasses import replace

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from toolbox.config import EncoderConfig, Padding
from toolbox.padding import cropped, padded
from toolbox.records import ComponentInfo
from toolbox.spec import EncoderSpec


class PixelUnshuffleConfig(EncoderConfig):
    """Settings of the pixel-unshuffle wrapper."""

    factor: int = Field(default=2, gt=1, description="pixels per side that become channels")
    encoder: EncoderSpec

    def out_channels(self, channels: int) -> int:
        inner: int = self.encoder.config.out_channels(channels * self.factor**2)
        if inner % self.factor**2:
            raise ValueError(
                f"pixel-unshuffle got {inner} channels of {self.encoder.name!r}, expected a multiple of "
                f"{self.factor**2} (factor {self.factor} squared)"
            )
        return inner // self.factor**2

    def receptive_field(self) -> int | None:
        inner = self.encoder.config.receptive_field()
        return None if inner is None else self.factor * (inner + 1) - 1

    def alignment(self) -> int:
        return self.factor * super().alignment()

    def padding(self) -> Padding:
        inner = super().padding()
        return inner if inner.multiple == 1 else replace(inner, multiple=self.factor * inner.multiple)


class PixelUnshuffle(nn.Module):
    """Run an encoder on pixels folded into channels, with ``factor``² times fewer positions to compute.

    Image (B, channels, H, W) → features (B, inner channels / factor², H, W). Sizes that the factor
    does not divide are padded at the right and bottom by repeating the edge, and cropped again.

    Source: Zhang et al., "FFDNet: Toward a Fast and Flexible Solution for CNN-Based Image
    Denoising", TIP 2018, Section III-B; folding back is Shi et al., CVPR 2016.
    """

    def __init__(self, config: PixelUnshuffleConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        self.factor = config.factor
        self.encoder = config.encoder.build(channels=channels * config.factor**2)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        height, width = image.shape[-2:]
        whole = padded(image, Padding(self.factor, "replicate"))
        features = self.encoder(F.pixel_unshuffle(whole, self.factor))
        return cropped(F.pixel_shuffle(features, self.factor), height, width)


PIXEL_UNSHUFFLE = ComponentInfo(
    kind="encoder",
    name="pixel-unshuffle",
    factory=PixelUnshuffle,
    config=PixelUnshuffleConfig,
    summary="any encoder at a fraction of the resolution, pixels folded into channels",
    paper="Zhang et al., FFDNet: Toward a Fast and Flexible Solution for CNN-Based Image Denoising, TIP 2018",
    example={"factor": 2, "encoder": {"name": "edsr", "channels": 12, "blocks": 1}},
    url="https://arxiv.org/abs/1710.04026",
)
