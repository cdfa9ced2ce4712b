"""The non-local block of Wang et al., known from classification and video networks."""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from toolbox.config import NonLocalConfig, fault
from toolbox.nonlocal_blocks.attention import attend
from toolbox.nonlocal_blocks.neighborhood import Neighborhood, Whole
from toolbox.nonlocal_blocks.soft_block_matching import Similarity
from toolbox.nonlocal_blocks.weighting import Weighting
from toolbox.records import ComponentInfo

KEYS = 1024  # at a time when they give their values out


class WangNonLocalConfig(NonLocalConfig):
    """Settings of the non-local block of Wang et al."""

    neighborhood: Neighborhood = Whole()
    similarity: Similarity = "embedded-gaussian"
    inner_channels: int = Field(default=32, gt=0, description="channels of θ, φ and g; half the channels in the paper")
    softmax_over: Literal["keys", "queries"] = Field(
        default="keys", description="queries: the weights of each key sum to 1, as published for RNAN; whole image only"
    )

    def receptive_field(self) -> int | None:
        return self.neighborhood.radius()

    @model_validator(mode="after")
    def _check_softmax(self) -> Self:
        if self.softmax_over == "queries":
            if not isinstance(self.neighborhood, Whole):
                raise fault(("softmax_over",), "queries", f"keys for the neighborhood {self.neighborhood.kind!r}")
            if self.similarity == "dot-product":
                raise fault(("softmax_over",), "queries", "keys for the similarity 'dot-product', which has no softmax")
        return self


class WangNonLocal(nn.Module):
    """x + W(Σ f(x_i, x_j) g(x_j) / C(x)), by default over the whole image; nothing is propagated.

    Features (B, C, H, W), any range → the same shape. The projection W starts at zero, so the block
    starts as the identity.

    Source: Wang et al., "Non-local Neural Networks", CVPR 2018, Sections 3.2 and 3.3: Gaussian,
    embedded Gaussian and dot product, without the optional pooling and batch norm. ``softmax_over: queries`` is the
    block in the published code of Zhang et al., "Residual Non-local Attention Networks for Image Restoration", ICLR
    2019, whose sum over j of f(x_i, x_j) runs over i instead.
    """

    def __init__(self, config: WangNonLocalConfig, channels: int) -> None:
        super().__init__()
        self.neighborhood, self.softmax_over = config.neighborhood, config.softmax_over
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
        queries, keys, values = self.theta(features), self.phi(features), self.g(features)
        if self.softmax_over == "queries":
            gathered = given_out(queries, keys, values)
        else:
            gathered, _ = attend(queries, keys, values, self.neighborhood, None, self.weighting)
        return features + self.projection(gathered), None


def given_out(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Give each key's value out to all queries, by weights that sum to 1 over the queries: (B, C, H, W) each."""
    query, key, value = (each.permute(0, 2, 3, 1).flatten(1, 2) for each in (queries, keys, values))
    if torch.compiler.is_compiling():  # a graph has no loops
        gathered = (key @ query.mT).softmax(2).mT @ value
    else:
        gathered = torch.zeros_like(value)
        for some, their_value in zip(key.split(KEYS, 1), value.split(KEYS, 1), strict=True):
            gathered = gathered + (some @ query.mT).softmax(2).mT @ their_value
    return gathered.mT.unflatten(2, queries.shape[2:])


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
