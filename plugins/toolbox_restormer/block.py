"""Restormer's transformer block: attention of channels, then a gated feed-forward network, each behind a norm."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, NonLocalConfig
from toolbox_restormer.mdta import MDTA
from toolbox_restormer.plain import transformer_block

Norm = Literal["with-bias", "without-bias"]


class LayerNorm(nn.Module):
    """Layer norm over the channels of each pixel, (B, C, H, W) → the same shape.

    Without a bias the mean is not subtracted either, but the variance is that around the mean.
    """

    epsilon = 1e-5

    def __init__(self, channels: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        if self.bias is not None:
            pixels = features.permute(0, 2, 3, 1)
            return F.layer_norm(pixels, self.weight.shape, self.weight, self.bias, self.epsilon).permute(0, 3, 1, 2)
        deviation = (features.var(1, correction=0, keepdim=True) + self.epsilon).rsqrt()
        return features * deviation * self.weight[:, None, None]


class GDFN(nn.Module):
    """Gated-Dconv feed-forward network: conv(GELU(a) · b) of a depthwise convolution's halves a and b."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.depthwise = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        gate, value = self.depthwise(self.expand(features)).chunk(2, 1)
        projected: Tensor = self.project(F.gelu(gate) * value)
        return projected


class TransformerBlock(nn.Module):
    """x + MDTA(norm(x)), then x + GDFN(norm(x)); (B, C, H, W) → the same shape."""

    def __init__(self, channels: int, heads: int, expansion: float, *, bias: bool) -> None:
        super().__init__()
        self.norm_a, self.norm_b = (LayerNorm(channels, bias=bias) for _ in range(2))
        self.attention = MDTA(channels, heads)
        self.feed_forward = GDFN(channels, int(channels * expansion))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        features = features + self.attention(self.norm_a(features))
        result: Tensor = features + self.feed_forward(self.norm_b(features))
        return result


class RestormerBlockConfig(NonLocalConfig):
    """Settings of a transformer block."""

    heads: int = Field(default=1, gt=0, description="groups of channels that attend within themselves")
    expansion: float = Field(default=2.66, ge=1, description="hidden channels of the feed-forward network per channel")
    norm: Norm = Field(default="with-bias", description="without-bias does not subtract the mean either")

    def receptive_field(self) -> int | None:
        return None

    def check_channels(self, channels: int) -> None:
        if channels % self.heads:
            raise ValueError(f"restormer-block got {channels} channels, expected a multiple of its {self.heads} heads")


class RestormerBlock(nn.Module):
    """One of Restormer's transformer blocks, for other networks; nothing is propagated.

    Features (B, C, H, W), any range → the same shape. The receptive field is the whole image.

    Source: Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration", CVPR 2022,
    Section 3, after the published code.
    """

    def __init__(self, config: RestormerBlockConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.block = TransformerBlock(channels, config.heads, config.expansion, bias=config.norm == "with-bias")

    def forward(self, features: Tensor, correlation: object = None) -> tuple[Tensor, None]:
        """(features, anything) → (features, None)."""
        return self.block(features), None


def _plain(block: Any, features: Tensor) -> Tensor:
    return transformer_block(block.block, features)


RESTORMER_BLOCK = ComponentInfo(
    kind="nonlocal-block",
    name="restormer-block",
    factory=RestormerBlock,
    config=RestormerBlockConfig,
    summary="Restormer's transformer block: attention of channels over the whole image, then a gated network",
    paper="Zamir et al., Restormer, Efficient Transformer for High-Resolution Image Restoration, CVPR 2022",
    plain=_plain,
    url="https://arxiv.org/abs/2111.09881",
)
