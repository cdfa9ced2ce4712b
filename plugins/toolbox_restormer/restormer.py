"""Restormer's U-net of transformer blocks."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, EncoderConfig, Padding, fault
from toolbox_restormer.block import Norm, TransformerBlock
from toolbox_restormer.plain import restormer


class RestormerConfig(EncoderConfig):
    """Settings of Restormer; the defaults are the published ones, ``norm: without-bias`` for denoising."""

    channels: int = Field(default=48, gt=0, multiple_of=2, description="at full resolution; twice as many per level")
    blocks: tuple[PositiveInt, ...] = Field(
        default=(4, 6, 6, 8), min_length=2, max_length=6, description="transformer blocks of each level"
    )
    refinement: int = Field(default=4, ge=0, description="further blocks at full resolution")
    heads: tuple[PositiveInt, ...] = Field(default=(1, 2, 4, 8), description="heads of the attention of each level")
    expansion: float = Field(default=2.66, ge=1, description="hidden channels of a feed-forward network per channel")
    norm: Norm = Field(default="with-bias", description="without-bias does not subtract the mean either")

    def out_channels(self, channels: int) -> int:
        return 2 * self.channels

    def receptive_field(self) -> int | None:
        return None

    def padding(self) -> Padding:
        return Padding(2 ** (len(self.blocks) - 1), "reflect")

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if len(self.heads) != len(self.blocks):
            raise fault(("heads",), list(self.heads), f"{len(self.blocks)} numbers, one for each level")
        for level, heads in enumerate(self.heads):
            if (width := self.channels * 2**level) % heads:
                raise fault(("heads",), list(self.heads), f"a divisor of the {width} channels of level {level + 1}")
        return self


class Restormer(nn.Module):
    """Image (B, channels, H, W) → features (B, 2 · config.channels, H, W); sides are multiples of 2^(levels − 1).

    The receptive field is the whole image, because each block weighs channels by sums over all pixels. The last
    convolution and the skip from the image are the decoder's and the restorer's.

    Source: Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration", CVPR 2022, after
    the published code, without its convolution biases and its skip for pictures of dual pixels.
    """

    def __init__(self, config: RestormerConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        widths = [config.channels * 2**level for level in range(len(config.blocks))]
        above = range(len(widths) - 1)  # the levels above the lowest one, whose blocks are the latent ones
        # Level 1 is not reduced after the skip, and keeps twice the channels.
        after = {level: widths[level] if level else 2 * widths[0] for level in above}

        def blocks(width: int, level: int, count: int) -> nn.Sequential:
            bias = config.norm == "with-bias"
            made = (TransformerBlock(width, config.heads[level], config.expansion, bias=bias) for _ in range(count))
            return nn.Sequential(*made)

        self.embed = nn.Conv2d(channels, config.channels, 3, padding=1, bias=False)
        self.encoders = nn.ModuleList(blocks(widths[level], level, config.blocks[level]) for level in above)
        self.downs = nn.ModuleList(_conv(widths[level], widths[level] // 2, 3) for level in above)
        self.latent = blocks(widths[-1], len(above), config.blocks[-1])
        self.ups = nn.ModuleList(_conv(widths[level + 1], 2 * widths[level + 1], 3) for level in reversed(above))
        self.reduces = nn.ModuleList(
            _conv(2 * widths[level], widths[level], 1) if level else nn.Identity() for level in reversed(above)
        )
        self.decoders = nn.ModuleList(blocks(after[level], level, config.blocks[level]) for level in reversed(above))
        self.refinement = blocks(after[0], 0, config.refinement)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        features: Tensor = self.embed(image)
        skips: list[Tensor] = []
        for blocks, down in zip(self.encoders, self.downs, strict=True):
            skips.append(blocks(features))
            features = F.pixel_unshuffle(down(skips[-1]), 2)
        features = self.latent(features)
        for blocks, up, reduce in zip(self.decoders, self.ups, self.reduces, strict=True):
            joined = torch.cat((F.pixel_shuffle(up(features), 2), skips.pop()), 1)
            features = blocks(reduce(joined))
        refined: Tensor = self.refinement(features)
        return refined


def _conv(channels: int, outputs: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(channels, outputs, kernel, padding=kernel // 2, bias=False)


RESTORMER = ComponentInfo(
    kind="encoder",
    name="restormer",
    factory=Restormer,
    config=RestormerConfig,
    summary="a U-net of transformer blocks whose channels attend to channels, over the whole image",
    paper="Zamir et al., Restormer, Efficient Transformer for High-Resolution Image Restoration, CVPR 2022",
    plain=restormer,
    example={"channels": 4, "blocks": [1, 1, 1], "refinement": 1, "heads": [1, 2, 2]},
    url="https://arxiv.org/abs/2111.09881",
)
