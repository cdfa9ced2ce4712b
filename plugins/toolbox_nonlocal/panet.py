"""PANet's denoiser: residual blocks with one slope for all, and a non-local block between them."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, EncoderConfig, NonLocalSpec, fault


class PANetConfig(EncoderConfig):
    """Settings of PANet's body; the defaults are those of the denoiser."""

    channels: int = Field(default=64, gt=0)
    blocks: int = Field(default=80, gt=0, le=1000, description="residual blocks")
    nonlocal_block: NonLocalSpec = Field(alias="nonlocal", description="the block between two residual blocks")
    after: int = Field(default=40, ge=0, description="residual blocks before the non-local block")

    def out_channels(self, channels: int) -> int:
        self.nonlocal_block.config.check_channels(self.channels)
        return self.channels

    def receptive_field(self) -> int | None:
        gathered = self.nonlocal_block.config.receptive_field()
        return None if gathered is None else 2 + 2 * self.blocks + gathered

    @model_validator(mode="after")
    def _check_after(self) -> Self:
        if self.after > self.blocks:
            raise fault(("after",), self.after, f"at most {self.blocks}, the number of residual blocks")
        return self


class PANet(nn.Module):
    """Image (B, channels, H, W) → features (B, config.channels, H, W).

    A residual block is x + conv(PReLU(conv(x))), and all of them share one slope.

    Source: Mei et al., "Pyramid Attention Networks for Image Restoration", 2020, after the published code of its
    denoisers.
    """

    def __init__(self, config: PANetConfig, channels: int) -> None:
        super().__init__()
        width = config.channels
        self.out_channels = config.out_channels(channels)
        self.after = config.after
        self.head, self.tail = (nn.Conv2d(count, width, 3, padding=1) for count in (channels, width))
        self.slope = nn.Parameter(torch.full((1,), 0.25))
        self.blocks = nn.ModuleList(
            nn.Sequential(*(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))) for _ in range(config.blocks)
        )
        self.nonlocal_block = config.nonlocal_block.build(channels=width)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        shallow: Tensor = self.head(image)
        features = shallow
        for number, block in enumerate(self.blocks):
            if number == self.after:
                features, _ = self.nonlocal_block(features, None)
            features = features + _residual(block, features, self.slope)
        if self.after == len(self.blocks):
            features, _ = self.nonlocal_block(features, None)
        return shallow + self.tail(features)


def _residual(convs: nn.Module, features: Tensor, slope: Tensor) -> Tensor:
    first, second = convs.children()
    result: Tensor = second(F.prelu(first(features), slope))
    return result


PANET = ComponentInfo(
    kind="encoder",
    name="panet",
    factory=PANet,
    config=PANetConfig,
    summary="residual blocks that share one slope, with a non-local block between them",
    paper="Mei et al., Pyramid Attention Networks for Image Restoration, 2020",
    example={
        "channels": 3,
        "blocks": 2,
        "after": 1,
        "nonlocal": {"name": "pyramid", "levels": 2, "embedding_channels": 2},
    },
    url="https://arxiv.org/abs/2004.13824",
)
