"""The transition of NLRN: a residual block with a non-local block in front."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, Correlation, NonLocalSpec, PerStateBatchNorm2d, TransitionConfig, located


class NonLocalResidualConfig(TransitionConfig):
    """Settings of NLRN's transition."""

    channels: int = Field(default=128, gt=0, description="channels of the state, m in the paper")
    nonlocal_block: NonLocalSpec | None = Field(
        default=None, alias="nonlocal", description="the non-local block; without one, a plain residual transition"
    )

    def receptive_field(self) -> int | None:
        if self.nonlocal_block is None:
            return 2
        gathered = self.nonlocal_block.config.receptive_field()
        return None if gathered is None else gathered + 2

    @model_validator(mode="after")
    def _check_nonlocal(self) -> Self:
        if self.nonlocal_block is not None:
            try:
                self.nonlocal_block.config.check_channels(self.channels)
            except ValueError as error:
                raise located(("nonlocal",), str(error)) from None
        return self


class NonLocalResidual(nn.Module):
    """state → stem + conv(ReLU(BN(conv(BN(non-local(ReLU(BN(state))))))).

    States and stem are (B, channels, H, W). All states share the convolutions and the non-local block;
    batch norm is per state.

    Source: f_recurrent of Liu et al., NeurIPS 2018, Fig. 3, after the published code.
    """

    def __init__(self, config: NonLocalResidualConfig, steps: int) -> None:
        super().__init__()
        channels = config.channels
        self.norm_in = PerStateBatchNorm2d(channels, steps)
        self.nonlocal_block = None
        if config.nonlocal_block is not None:
            self.nonlocal_block = config.nonlocal_block.build(channels=channels)
        self.norm_a = PerStateBatchNorm2d(channels, steps)
        self.conv_a = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm_b = PerStateBatchNorm2d(channels, steps)
        self.conv_b = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(
        self, state: Tensor, stem: Tensor, correlation: Correlation | None, step: int
    ) -> tuple[Tensor, Correlation | None]:
        """One state and its correlation → the next."""
        features = self.norm_in(state, step).relu_()
        if self.nonlocal_block is not None:
            features, correlation = self.nonlocal_block(features, correlation)
        features = self.conv_a(self.norm_a(features, step))
        features = self.conv_b(self.norm_b(features, step).relu_())
        return features.add_(stem), correlation


NONLOCAL_RESIDUAL = ComponentInfo(
    kind="transition",
    name="nonlocal-residual",
    factory=NonLocalResidual,
    config=NonLocalResidualConfig,
    summary="NLRN's recurrent function: a non-local block, then two convolutions, plus the stem",
    paper="Liu et al., Non-Local Recurrent Network for Image Restoration, NeurIPS 2018",
    example={
        "channels": 4,
        "nonlocal": {
            "name": "soft-block-matching",
            "neighborhood": {"kind": "window", "size": 3, "border": "zero"},
            "embedding_channels": 2,
        },
    },
    url="https://arxiv.org/abs/1806.02919",
)
