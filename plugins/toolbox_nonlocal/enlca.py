"""Efficient non-local contrastive attention: the weights of pairs are products of features of both pixels.

Random features φ approximate exp(q · k) by φ(q) · φ(k). So the sums over keys are computed once for all queries, and
the work is linear in pixels.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, NonLocalConfig
from toolbox_nonlocal.plain import contrastive_attention

FEATURES = 128  # rows of the projection
AMPLIFICATION = 6**0.5  # k in the paper: the length of normalized queries and keys
SMALLEST_NORM = 5e-5  # least norm of a query or a key, which is divided by it
EPSILON = 1e-4  # added to each feature


class ENLCAConfig(NonLocalConfig):
    """Settings of efficient non-local contrastive attention."""

    embedding_channels: int = Field(default=64, gt=0, description="a quarter of the channels in the paper")
    scale: float = Field(default=1.0, gt=0, description="what is gathered is multiplied by this")

    def receptive_field(self) -> int | None:
        return None


class ENLCA(nn.Module):
    """x + scale · φ(q) (φ(k)ᵀ v) / (φ(q) Σ φ(k)); nothing is propagated.

    φ(z) = exp(z Pᵀ − |z|² / 2) + 1e-4, for queries and keys of length √6. Features (B, C, H, W), any range → the same
    shape. The receptive field is the whole image, by sums over all pixels. It differs from the softmax that it
    approximates by 0.03 to 0.5, so it is an operator of its own.

    The projection P is drawn once and stored with the weights: rows in groups of orthogonal ones, with the lengths of
    Gaussian vectors.

    Source: Xia et al., "Efficient Non-Local Contrastive Attention for Image Super-Resolution", AAAI 2022, after the
    published code.
    """

    projection: Tensor

    def __init__(self, config: ENLCAConfig, channels: int) -> None:
        super().__init__()
        self.scale = config.scale
        self.out_channels = channels
        self.query, self.key = (nn.Conv2d(channels, config.embedding_channels, 1) for _ in range(2))
        self.value = nn.Conv2d(channels, channels, 1)
        self.register_buffer("projection", _projection(config.embedding_channels))

    def forward(self, features: Tensor, correlation: object = None) -> tuple[Tensor, None]:
        """(features, anything) → (features, None)."""
        query, key = (self._features(each(features)) for each in (self.query, self.key))
        value = self.value(features).permute(0, 2, 3, 1).flatten(1, 2)
        # Contiguous, because sums over strided pixels would lose digits.
        summed = key.mT.contiguous() @ value  # (B, 128, C)
        weight = query @ key.sum(1, keepdim=True).mT
        gathered = query @ summed / weight
        return features + self.scale * gathered.mT.unflatten(2, features.shape[2:]), None

    def _features(self, embedded: Tensor) -> Tensor:
        """φ: (B, E, H, W) → (B, H · W, 128)."""
        pixels = embedded.permute(0, 2, 3, 1).flatten(1, 2)
        norm = pixels.norm(dim=2, keepdim=True).clamp(min=SMALLEST_NORM)
        pixels = AMPLIFICATION * pixels / norm
        return (pixels @ self.projection.T - pixels.square().sum(2, keepdim=True) / 2).exp() + EPSILON


def _projection(channels: int) -> Tensor:
    """(128, channels): orthogonal rows in groups of ``channels``, with the lengths of Gaussian vectors."""
    groups = -(-FEATURES // channels)
    directions = [torch.linalg.qr(torch.randn(channels, channels))[0].T for _ in range(groups)]
    lengths = torch.randn(FEATURES, channels).norm(dim=1, keepdim=True)
    return torch.cat(directions)[:FEATURES] * lengths


ENLCA_BLOCK = ComponentInfo(
    kind="nonlocal-block",
    name="enlca",
    factory=ENLCA,
    config=ENLCAConfig,
    summary="attention over the whole image by random features, linear in pixels",
    paper="Xia et al., Efficient Non-Local Contrastive Attention for Image Super-Resolution, AAAI 2022",
    plain=contrastive_attention,
    example={"embedding_channels": 3},
    url="https://arxiv.org/abs/2201.03794",
)
