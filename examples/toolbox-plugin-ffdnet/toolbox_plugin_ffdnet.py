"""FFDNet of Zhang, Zuo and Zhang (IEEE TIP 2018) as a plugin of Toolbox: a denoiser with a noise level."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ArchitectureInfo, ComponentInfo, EncoderConfig, Padding, hookimpl, read_catalog

TOOLBOX_API = 1


class FFDNetConfig(EncoderConfig):
    """Settings of FFDNet."""

    channels: int = Field(default=64, gt=0, description="channels between the first and the last convolution")
    convolutions: int = Field(default=15, gt=1, le=1000, description="number of convolutions")

    def out_channels(self, channels: int) -> int:
        if channels < 2:
            raise ValueError("ffdnet got no condition, expected one, such as conditions: {sigma: {unit: 255}}")
        return channels - 1

    def receptive_field(self) -> int | None:
        return 2 * self.convolutions + 1  # at half the resolution, where a pixel is a block of four

    def alignment(self) -> int:
        return 2

    def padding(self) -> Padding:
        return Padding(2, "replicate")


class FFDNet(nn.Module):
    """Image and noise map (B, C + 1, H, W) → the restored image (B, C, H, W), at half the resolution in between.

    Source: Zhang et al., "FFDNet: Toward a Fast and Flexible Solution for CNN-based Image Denoising", IEEE TIP 2018,
    Section III-B. Batch norm is left out, as published weights have it merged into the convolutions; of a noise map
    that varies within a block, the network sees the mean.
    """

    def __init__(self, config: FFDNetConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        widths = [4 * self.out_channels + 1, *[config.channels] * (config.convolutions - 1), 4 * self.out_channels]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width, next_width, 3, padding=1) for width, next_width in pairwise(widths)
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, C + 1, H, W), both sides even → (B, C, H, W)."""
        blocks = F.pixel_unshuffle(image[:, :-1], 2)
        features = torch.cat((blocks, F.avg_pool2d(image[:, -1:], 2)), 1)
        *hidden, last = self.convolutions
        for convolution in hidden:
            features = convolution(features).relu()
        return F.pixel_shuffle(last(features), 2)


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """FFDNet's convolutions."""
    return [
        ComponentInfo(
            kind="encoder",
            name="ffdnet",
            factory=FFDNet,
            config=FFDNetConfig,
            summary="convolutions at half the resolution that see a map of the noise",
            paper="Zhang et al., FFDNet: Toward a Fast and Flexible Solution for CNN-Based Image Denoising, TIP 2018",
            example={"channels": 4, "convolutions": 3},
            url="https://arxiv.org/abs/1710.04026",
        )
    ]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """FFDNet for gray and for color."""
    return read_catalog(Path(__file__).with_suffix(".yaml"))
