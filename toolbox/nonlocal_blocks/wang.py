"""The non-local block of Wang et al., known from classification and video networks."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from toolbox.config import NonLocalConfig
from toolbox.nonlocal_blocks.attention import attend
from toolbox.nonlocal_blocks.neighborhood import Neighborhood, Whole
from toolbox.nonlocal_blocks.soft_block_matching import Similarity
from toolbox.nonlocal_blocks.weighting import Weighting
from toolbox.records import ComponentInfo


class WangNonLocalConfig(NonLocalConfig):
    """Settings of the non-local block of Wang et al."""

    neighborhood: Neighborhood = Whole()
    similarity: Similarity = "embedded-gaussian"
    inner_channels: int = Field(default=32, gt=0, description="channels of θ, φ and g; half the channels in the paper")

    def receptive_field(self) -> int | None:
        return self.neighborhood.radius()


class WangNonLocal(nn.Module):
    """x + W(Σ f(x_i, x_j) g(x_j) / C(x)), by default over the whole image; nothing is propagated.

    Features (B, C, H, W), any range → the same shape. The projection W starts at zero, so the block
    starts as the identity.

    Source: Wang et al., "Non-local Neural Networks", CVPR 2018, Sections 3.2 and 3.3: Gaussian,
    embedded Gaussian and dot product, without the optional pooling and batch norm.
    """

    def __init__(self, config: WangNonLocalConfig, channels: int) -> None:
        super().__init__()
        self.neighborhood = config.neighborhood
        self.weighting: Weighting = "mean" if config.similarity == "dot-product" else "softmax"
        self.out_channels = channels
        embeds = config.similarity != "gaussian"
        self.theta = nn.Conv2d(channels, config.inner_channels, 1) if embeds else nn.Identity()
        self.phi = nn.Conv2d(channels, config.inner_channels, 1) if embeds else nn.Identity()
        self.g = nn.Conv2d(channels, config.inner_channels, 1)
        self.projection = nn.Conv2d(config.inner_channels, channels, 1)
        nn.init.zeros_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)  # type: ignore[arg-type]  # a Conv2d has a bias unless told otherwise

    def forward(self, features: Tensor, correlation: object = None) -> tuple[Tensor, None]:
        """(features, anything) → (features, None)."""
        gathered, _ = attend(
            self.theta(features), self.phi(features), self.g(features), self.neighborhood, None, self.weighting
        )
        return features + self.projection(gathered), None


WANG_NONLOCAL = ComponentInfo(
    kind="nonlocal-block",
    name="wang-nonlocal",
    factory=WangNonLocal,
    config=WangNonLocalConfig,
    summary="the non-local block of Wang et al., with an output projection, by default over the whole image",
    paper="Wang et al., Non-local Neural Networks, CVPR 2018",
    example={"neighborhood": {"kind": "window", "size": 3, "border": "zero"}, "inner_channels": 2},
    url="https://arxiv.org/abs/1711.07971",
)
