"""Depth to space: the pixels of a larger picture, which the encoder gives as channels, at their places."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, DecoderConfig


class DepthToSpaceConfig(DecoderConfig):
    """Settings of depth to space."""

    scale: int = Field(ge=2, le=16, description="pixels along a side of the block that a pixel of features becomes")

    def sizes(self) -> Literal["same", "any"] | int:
        return self.scale

    def receptive_field(self) -> int | None:
        return 0

    def check_join(self, features: int, channels: int) -> None:
        if features != (expected := channels * self.scale**2):
            raise ValueError(
                f"got {features} channels, expected {expected}: {channels} for each of {self.scale}² pixels"
            )


class DepthToSpace(nn.Module):
    """(B, channels · s², H, W) → (B, channels, s·H, s·W), without any weight.

    Source: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
    Convolutional Neural Network", CVPR 2016, Eq. 4.
    """

    def __init__(self, config: DepthToSpaceConfig, features: int, channels: int) -> None:
        super().__init__()
        self.scale = config.scale

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, channels · s², H, W) and (s·H, s·W) → (B, channels, s·H, s·W)."""
        return F.pixel_shuffle(features, self.scale)


DEPTH_TO_SPACE = ComponentInfo(
    kind="decoder",
    name="depth-to-space",
    factory=DepthToSpace,
    config=DepthToSpaceConfig,
    summary="channels as the pixels of a larger picture, for encoders that give a finished one",
    paper="Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel "
    "Convolutional Neural Network, CVPR 2016",
    example={"scale": 2},
    url="https://arxiv.org/abs/1609.05158",
)
