"""Restormer's attention: channels attend to channels, by what all pixels say of both.

The scores are one small matrix for each head, a sum over pixels. The code divides it by the norms of queries and keys,
instead of them. The weights and the output convolution together are one matrix for each picture, which multiplies the
values of every pixel.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, NonLocalConfig
from toolbox_restormer.plain import mdta

SMALLEST_NORM = 1e-12  # least norm of a channel over all pixels, which is divided by it


class MDTAConfig(NonLocalConfig):
    """Settings of Restormer's attention."""

    heads: int = Field(default=1, gt=0, description="groups of channels that attend within themselves")
    skip: bool = Field(default=True, description="add the features to what is gathered")

    def receptive_field(self) -> int | None:
        return None

    def check_channels(self, channels: int) -> None:
        if channels % self.heads:
            raise ValueError(f"mdta got {channels} channels, expected a multiple of its {self.heads} heads")


class MDTA(nn.Module):
    """Multi-Dconv head transposed attention, without a skip: (B, C, H, W), any range → the same shape."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.depthwise = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        embedded = self.depthwise(self.qkv(features)).flatten(2)
        # Contiguous, because sums over strided pixels would lose digits.
        queries, keys, values = embedded.contiguous().chunk(3, 1)
        queries, keys = (each.unflatten(1, (self.heads, -1)) for each in (queries, keys))  # (B, heads, d, H · W)
        query_norm, key_norm = (each.norm(dim=3).clamp(min=SMALLEST_NORM) for each in (queries, keys))
        scores = queries @ keys.mT / (query_norm[..., :, None] * key_norm[..., None, :])
        weights = (scores * self.temperature).softmax(3)  # (B, heads, d, d)
        project = self.project.weight.flatten(1).unflatten(1, (self.heads, -1)).movedim(1, 0)  # (heads, C, d)
        joined = (project @ weights).movedim(1, 2).flatten(2)  # (B, C, C)
        return (joined @ values).view_as(features)


class MDTABlock(nn.Module):
    """x + MDTA(x), over the whole image; nothing is propagated. ``skip: false`` leaves x out.

    Features (B, C, H, W), any range → the same shape. Each of C / heads channels of a head is a mean of them, weighted
    by the softmax of temperature · cosine similarity over all pixels. Every pixel sees the whole image, but only by
    these weights.

    Source: Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration", CVPR 2022,
    Section 3.1, after the published code, whose networks have a layer norm in front.
    """

    def __init__(self, config: MDTAConfig, channels: int) -> None:
        super().__init__()
        self.skip = config.skip
        self.out_channels = channels
        self.attention = MDTA(channels, config.heads)

    def forward(self, features: Tensor, correlation: object = None) -> tuple[Tensor, None]:
        """(features, anything) → (features, None)."""
        gathered: Tensor = self.attention(features)
        return features + gathered if self.skip else gathered, None


MDTA_BLOCK = ComponentInfo(
    kind="nonlocal-block",
    name="mdta",
    factory=MDTABlock,
    config=MDTAConfig,
    summary="Restormer's attention of channels to channels over the whole image, linear in pixels",
    paper="Zamir et al., Restormer, Efficient Transformer for High-Resolution Image Restoration, CVPR 2022",
    plain=mdta,
    url="https://arxiv.org/abs/2111.09881",
)
