"""NAFNet's U-net."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch.nn.functional as F
from pydantic import Field, NonNegativeInt, model_validator
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, EncoderConfig, Padding, fault
from toolbox_nafnet.block import NAFBlock
from toolbox_nafnet.local_mean import TrainingSize, reach, window_of
from toolbox_nafnet.plain import nafnet


class NAFNetConfig(EncoderConfig):
    """Settings of NAFNet; presets ``sidd`` (noise) and ``gopro`` (blur) are the published ones."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "sidd": {"encoder_blocks": (2, 2, 4, 8), "middle_blocks": 12, "decoder_blocks": (2, 2, 2, 2)},
        "gopro": {"encoder_blocks": (1, 1, 1, 28), "middle_blocks": 1, "decoder_blocks": (1, 1, 1, 1)},
    }
    channels: int = Field(default=32, gt=1, description="channels at full resolution; each level below has twice those")
    encoder_blocks: tuple[NonNegativeInt, ...] = Field(
        default=(2, 2, 4, 8), min_length=1, max_length=8, description="blocks of each level on the way down"
    )
    middle_blocks: int = Field(default=12, ge=0, le=1000, description="blocks at the lowest resolution")
    decoder_blocks: tuple[NonNegativeInt, ...] = Field(
        default=(2, 2, 2, 2), description="blocks of each level on the way up, the lowest first"
    )
    local: TrainingSize = None

    def out_channels(self, channels: int) -> int:
        return self.channels

    @property
    def levels(self) -> int:
        """How often the resolution is halved."""
        return len(self.encoder_blocks)

    def blocks(self, level: int) -> int:
        """The number of blocks at 1 / 2^level of the resolution."""
        if level == self.levels:
            return self.middle_blocks
        return self.encoder_blocks[level] + self.decoder_blocks[-1 - level]

    def window(self, level: int) -> tuple[int, int] | None:
        """The window of the means in the blocks of a level."""
        return None if self.local is None else window_of(self.local, level, self.levels)

    def receptive_field(self) -> int | None:
        if self.local is None:
            return None  # channel attention needs the mean over the image
        # The first convolution, and the pixels that one of the lowest resolution covers.
        radius, more_at_the_border = 1 + 2**self.levels - 1, 0
        for level in range(self.levels + 1):
            if self.blocks(level):
                usual, more = reach(window_of(self.local, level, self.levels))
                radius += 2**level * self.blocks(level) * (1 + usual)
                more_at_the_border = max(more_at_the_border, 2**level * more)
        return radius + more_at_the_border

    def padding(self) -> Padding:
        return Padding(2**self.levels, "zeros")

    @model_validator(mode="after")
    def _check_levels(self) -> Self:
        if len(self.decoder_blocks) != self.levels:
            raise fault(
                ("decoder_blocks",), list(self.decoder_blocks), f"{self.levels} numbers, as many as encoder_blocks"
            )
        return self


class NAFNet(nn.Module):
    """Image (B, channels, H, W) → features (B, config.channels, H, W), both sides multiples of 2^levels.

    A convolution makes the image of these features, and ``global_skip`` adds the input. The restorer pads an image of
    another size with zeros at the bottom and right, as the published code does it.

    Channel attention takes means over the whole image, so features of a part differ from those of the whole. With
    ``local`` they are means over windows, and tiles are exact, but each block widens the receptive field by half a
    window: that of ``nafnet-local`` is larger than most pictures.

    Source: Chen et al., "Simple Baselines for Image Restoration", ECCV 2022; with ``local``, Chu et al., "Improving
    Image Restoration by Revisiting Global Information Aggregation", ECCV 2022.
    """

    def __init__(self, config: NAFNetConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        self.intro = nn.Conv2d(channels, config.channels, 3, padding=1)
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        self.decoders, self.ups = nn.ModuleList(), nn.ModuleList()
        for level, count in enumerate(config.encoder_blocks):
            width = config.channels * 2**level
            self.encoders.append(_blocks(count, width, config.window(level)))
            self.downs.append(nn.Conv2d(width, 2 * width, 2, stride=2))
        lowest = config.channels * 2**config.levels
        self.middle = _blocks(config.middle_blocks, lowest, config.window(config.levels))
        for level, count in zip(reversed(range(config.levels)), config.decoder_blocks, strict=True):
            width = config.channels * 2**level
            self.ups.append(nn.Conv2d(2 * width, 4 * width, 1, bias=False))
            self.decoders.append(_blocks(count, width, config.window(level)))

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        features: Tensor = self.intro(image)
        skips = []
        for encode, down in zip(self.encoders, self.downs, strict=True):
            skips.append(encode(features))
            features = down(skips[-1])
        features = self.middle(features)
        for up, decode in zip(self.ups, self.decoders, strict=True):
            features = decode(F.pixel_shuffle(up(features), 2) + skips.pop())
        return features


def _blocks(count: int, channels: int, window: tuple[int, int] | None) -> nn.Sequential:
    return nn.Sequential(*(NAFBlock(channels, window) for _ in range(count)))


NAFNET_ENCODER = ComponentInfo(
    kind="encoder",
    name="nafnet",
    factory=NAFNet,
    config=NAFNetConfig,
    summary="NAFNet: a U-net of blocks without nonlinear activations",
    paper="Chen et al., Simple Baselines for Image Restoration, ECCV 2022",
    plain=nafnet,
    example={"channels": 4, "encoder_blocks": [1], "middle_blocks": 1, "decoder_blocks": [1]},
    url="https://arxiv.org/abs/2204.04676",
)
