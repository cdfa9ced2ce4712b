"""SPAN's body: blocks of three convolutions whose result is also the attention."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, EncoderConfig, Form, folding_conv, in_parts

GAIN = 2  # times the channels inside a convolution in training, as published


class SPANConfig(EncoderConfig):
    """Settings of SPAN."""

    for_use: ClassVar[dict[str, Form]] = {"form": "folded"}
    channels: int = Field(default=52, gt=0)
    blocks: int = Field(default=6, ge=2, le=1000, description="blocks of three convolutions")
    form: Form = Field(
        default="training", description="each convolution in several parts for training, or as one for use"
    )

    def out_channels(self, channels: int) -> int:
        return self.channels

    def receptive_field(self) -> int | None:
        return 3 * self.blocks + 2


class SPANBlock(nn.Module):
    """(h + x) · (σ(h) − ½) with h = conv(SiLU(conv(SiLU(conv x)))), (B, C, H, W) → the same shape.

    The attention has no parameters of its own. It is odd in h, so it keeps the sign of strong features.
    """

    def __init__(self, config: SPANConfig) -> None:
        super().__init__()
        self.convs = nn.ModuleList(folding_conv(config.channels, config.channels, GAIN, config.form) for _ in range(3))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return self.attended(features, self.activated(features))

    def activated(self, features: Tensor) -> Tensor:
        """The activated features of the first convolution."""
        return F.silu(self.convs[0](features))

    def attended(self, features: Tensor, activated: Tensor) -> Tensor:
        """The result of the block for its features and those of its first convolution."""
        gathered = self.convs[2](F.silu(self.convs[1](activated)))
        return (gathered + features) * (gathered.sigmoid() - 0.5)


class SPAN(nn.Module):
    """Image (B, channels, H, W) → features (B, config.channels, H, W), any range.

    Source: Wan et al., "Swift Parameter-free Attention Network for Efficient Super-Resolution", CVPRW 2024, Fig. 2,
    after the published code. Its last block also gives the features of its first convolution behind the SiLU, which
    the published code computes in place.
    """

    def __init__(self, config: SPANConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        self.head = folding_conv(channels, config.channels, GAIN, config.form)
        self.blocks = nn.ModuleList(SPANBlock(config) for _ in range(config.blocks))
        self.tail = folding_conv(config.channels, config.channels, GAIN, config.form)
        self.fusion = nn.Conv2d(4 * config.channels, config.channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        features = shallow = self.head(image)
        results = []
        for block in self.blocks[:-1]:
            features = block(features)
            results.append(features)
        last: SPANBlock = self.blocks[-1]  # type: ignore[assignment]  # a ModuleList
        inner = last.activated(features)
        deep = self.tail(last.attended(features, inner))
        fused: Tensor = self.fusion(torch.cat((shallow, deep, results[0], inner), 1))
        return fused


def plain_span(encoder: SPAN, image: Tensor) -> Tensor:
    """SPAN with every part of its convolutions applied to the features, as the published code trains."""
    shallow = in_parts(encoder.head, image)
    results, inner = [shallow], shallow
    for block in encoder.blocks:
        first, second, third = block.convs  # type: ignore[misc]  # a ModuleList
        inner = F.silu(in_parts(first, results[-1]))
        gathered = in_parts(third, F.silu(in_parts(second, inner)))
        results.append((gathered + results[-1]) * (gathered.sigmoid() - 0.5))
    fused: Tensor = encoder.fusion(torch.cat((shallow, in_parts(encoder.tail, results[-1]), results[1], inner), 1))
    return fused


SPAN_ENCODER = ComponentInfo(
    kind="encoder",
    name="span",
    factory=SPAN,
    config=SPANConfig,
    summary="blocks of three convolutions with parameter-free attention, fast without a GPU",
    paper="Wan et al., Swift Parameter-free Attention Network for Efficient Super-Resolution, CVPRW 2024",
    example={"channels": 4, "blocks": 2},
    url="https://arxiv.org/abs/2311.12770",
    plain=plain_span,
)
