"""A transition made of any encoder that keeps its shape."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from toolbox.config import TransitionConfig, located
from toolbox.nonlocal_blocks.attention import Correlation
from toolbox.records import ComponentInfo
from toolbox.spec import EncoderSpec


class EncoderTransitionConfig(TransitionConfig):
    """Settings of an encoder as a transition."""

    channels: int = Field(default=64, gt=0, description="channels of the state")
    encoder: EncoderSpec = Field(description="maps one state to the next; it must keep the channels")
    add_stem: bool = Field(default=True, description="add the stem to each state, as in NLRN and DRRN")

    def receptive_field(self) -> int | None:
        radius: int | None = self.encoder.config.receptive_field()
        return radius

    @model_validator(mode="after")
    def _check_channels(self) -> Self:
        try:
            given = self.encoder.config.out_channels(self.channels)
        except ValueError as error:
            raise located(("encoder",), str(error)) from None
        if given != self.channels:
            raise located(
                ("encoder",), f"{self.encoder.name!r} gives {given} channels for {self.channels}, expected as many"
            )
        return self


class EncoderTransition(nn.Module):
    """state → encoder(state), plus the stem; (B, C, H, W) → the same shape. All states share its weights.

    Source: Tai et al., "Image Super-Resolution via Deep Recursive Residual Network", CVPR 2017, with the
    recursive block left open.
    """

    def __init__(self, config: EncoderTransitionConfig, steps: int) -> None:
        super().__init__()
        self.add_stem = config.add_stem
        self.encoder = config.encoder.build(channels=config.channels)

    def forward(
        self, state: Tensor, stem: Tensor, correlation: Correlation | None, step: int
    ) -> tuple[Tensor, Correlation | None]:
        """One state → the next; the correlation passes through unchanged."""
        features: Tensor = self.encoder(state)
        return features + stem if self.add_stem else features, correlation


ENCODER_TRANSITION = ComponentInfo(
    kind="transition",
    name="encoder",
    factory=EncoderTransition,
    config=EncoderTransitionConfig,
    summary="any encoder that keeps its channels, repeated",
    paper="Tai et al., Image Super-Resolution via Deep Recursive Residual Network, CVPR 2017",
    example={"channels": 4, "encoder": {"name": "edsr", "channels": 4, "blocks": 1}},
)
