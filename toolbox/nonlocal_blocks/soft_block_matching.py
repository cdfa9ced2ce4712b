"""Soft block matching: NLRN's non-local block, whose correlation can be propagated between states."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from toolbox.config import NonLocalConfig
from toolbox.nonlocal_blocks.attention import Correlation, attend
from toolbox.nonlocal_blocks.neighborhood import Neighborhood, Window
from toolbox.nonlocal_blocks.plain import soft_block_matching
from toolbox.nonlocal_blocks.weighting import Weighting
from toolbox.records import ComponentInfo

# The weights of pairs of features: softmax of θᵀφ, softmax of xᵀx, or θᵀφ / N.
Similarity = Literal["embedded-gaussian", "gaussian", "dot-product"]


class SoftBlockMatchingConfig(NonLocalConfig):
    """Settings of soft block matching."""

    neighborhood: Neighborhood = Window()
    similarity: Similarity = "embedded-gaussian"
    propagation: Literal["none", "accumulate"] = Field(
        default="accumulate",
        description="accumulate adds the correlation of the state before, before the softmax",
    )
    embedding_channels: int = Field(default=64, gt=0, description="l in the paper")

    def receptive_field(self) -> int | None:
        return self.neighborhood.radius()


class SoftBlockMatching(nn.Module):
    """x + softmax(θ(x) φ(x)ᵀ + previous correlation) g(x), over each pixel's neighborhood.

    This is the similarity ``embedded-gaussian``. ``gaussian`` has no θ and φ, and ``dot-product``
    divides by the number of neighbors instead of taking the softmax.

    Source: Liu et al., "Non-Local Recurrent Network for Image Restoration", NeurIPS 2018, Eq. 4 and
    Section 3.3. Details follow the published code: softmax without a scale, no projection after g,
    raw correlations summed over all states so far. g starts at zero, so the block starts as the
    identity.

    Features (B, C, H, W), any range → the same shape, and the correlation for the next state of the same
    image; None when nothing is propagated.
    """

    def __init__(self, config: SoftBlockMatchingConfig, channels: int) -> None:
        super().__init__()
        self.neighborhood = config.neighborhood
        self.propagation = config.propagation
        self.out_channels = channels
        embeds = config.similarity != "gaussian"
        self.weighting: Weighting = "mean" if config.similarity == "dot-product" else "softmax"
        self.theta = nn.Conv2d(channels, config.embedding_channels, 1) if embeds else nn.Identity()
        self.phi = nn.Conv2d(channels, config.embedding_channels, 1) if embeds else nn.Identity()
        self.g = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.g.weight)
        nn.init.zeros_(self.g.bias)  # type: ignore[arg-type]  # a Conv2d has a bias unless told otherwise

    def forward(self, features: Tensor, correlation: Correlation | None = None) -> tuple[Tensor, Correlation | None]:
        """(features, correlation of the state before) → (features, correlation)."""
        gathered, correlation = attend(
            self.theta(features),
            self.phi(features),
            self.g(features),
            self.neighborhood,
            correlation,
            self.weighting,
            propagates=self.propagation == "accumulate",
        )
        return gathered.add_(features), correlation


SOFT_BLOCK_MATCHING = ComponentInfo(
    kind="nonlocal-block",
    name="soft-block-matching",
    factory=SoftBlockMatching,
    config=SoftBlockMatchingConfig,
    summary="softmax-weighted gathering from a window or the whole image, with correlation propagation",
    paper="Liu et al., Non-Local Recurrent Network for Image Restoration, NeurIPS 2018",
    plain=soft_block_matching,
    # With zeros beyond the border every weight matters; elsewhere softmax ignores the bias of φ.
    example={"neighborhood": {"kind": "window", "size": 3, "border": "zero"}, "embedding_channels": 2},
    url="https://arxiv.org/abs/1806.02919",
)
