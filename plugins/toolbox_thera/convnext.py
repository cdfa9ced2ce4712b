"""Thera's refinement: ConvNeXt blocks on the features of another encoder."""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, EncoderConfig, EncoderSpec

EPSILON = 1e-6  # of the layer norms
WIDER = 4  # growth of channels between the two 1×1 convolutions of a block


class ConvNeXtRefinementConfig(EncoderConfig):
    """Settings of the refinement; the defaults are the published ones."""

    encoder: EncoderSpec
    blocks: tuple[tuple[PositiveInt, PositiveInt], ...] = Field(
        default=((64, 6), (96, 7), (128, 3)), min_length=1, description="channels and number of blocks, stage by stage"
    )

    def out_channels(self, channels: int) -> int:
        self.encoder.config.out_channels(channels)
        return self.blocks[-1][0]

    def receptive_field(self) -> int | None:
        inner = self.encoder.config.receptive_field()
        return None if inner is None else inner + sum(count for _, count in self.blocks)

    def alignment(self) -> int:
        inner: int = self.encoder.config.alignment()
        return inner


class ConvNeXtBlock(nn.Module):
    """x + 1×1(GELU(1×1(norm(3×3 of each channel)))), (B, C, H, W) → the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = nn.LayerNorm(channels, EPSILON)
        self.widen = nn.Linear(channels, WIDER * channels)
        self.narrow = nn.Linear(WIDER * channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        pixels = self.norm(self.depthwise(features).permute(0, 2, 3, 1))
        pixels = self.narrow(F.gelu(self.widen(pixels), approximate="tanh"))
        return features + pixels.permute(0, 3, 1, 2)


class Widening(nn.Module):
    """Layer norm and a 1×1 convolution to another number of channels, (B, C, H, W) → (B, C', H, W)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(before, EPSILON)
        self.linear = nn.Linear(before, after)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', H, W)."""
        pixels: Tensor = self.linear(self.norm(features.permute(0, 2, 3, 1)))
        return pixels.permute(0, 3, 1, 2)


class ConvNeXtRefinement(nn.Module):
    """Image (B, channels, H, W) → features (B, channels of the last stage, H, W), any range.

    The features of the inner encoder go through stages of ConvNeXt blocks. A stage with another number of channels
    begins with a layer norm and a 1×1 convolution.

    Source: Becker et al., "Thera: Aliasing-Free Arbitrary-Scale Super-Resolution with Neural Heat Fields", 2025,
    Section 4, after the published code. The blocks are from Liu et al., "A ConvNet for the 2020s", CVPR 2022, here
    with 3×3 and without layer scale.
    """

    def __init__(self, config: ConvNeXtRefinementConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        self.receptive_field = config.receptive_field()
        self.encoder = config.encoder.build(channels=channels)
        layers: list[nn.Module] = []
        before: int = config.encoder.config.out_channels(channels)
        for after, count in config.blocks:
            if before != after:
                layers.append(Widening(before, after))
            layers += [ConvNeXtBlock(after) for _ in range(count)]
            before = after
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        features: Tensor = self.layers(self.encoder(image))
        return features


CONVNEXT_REFINEMENT = ComponentInfo(
    kind="encoder",
    name="convnext-refinement",
    factory=ConvNeXtRefinement,
    config=ConvNeXtRefinementConfig,
    summary="ConvNeXt blocks that refine the features of any other encoder, as in Thera plus",
    paper="Becker et al., Thera: Aliasing-Free Arbitrary-Scale Super-Resolution with Neural Heat Fields, 2025",
    example={"encoder": {"name": "edsr", "channels": 4, "blocks": 1}, "blocks": [[4, 1], [6, 2]]},
)
