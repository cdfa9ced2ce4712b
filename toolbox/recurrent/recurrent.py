"""The recurrent wrapper: one transition, T times, as an encoder."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from toolbox.config import EncoderConfig
from toolbox.records import ComponentInfo
from toolbox.recurrent.per_state import EPSILON, MOMENTUM
from toolbox.spec import TransitionSpec


class RecurrentConfig(EncoderConfig):
    """Settings of the recurrent wrapper."""

    steps: int = Field(default=12, gt=0, le=1000, description="number of recurrent states, T in the NLRN paper")
    transition: TransitionSpec

    def out_channels(self, channels: int) -> int:
        channels_out: int = self.transition.config.channels
        return channels_out

    def receptive_field(self) -> int | None:
        per_state = self.transition.config.receptive_field()
        return None if per_state is None else 1 + self.steps * per_state


class Recurrent(nn.Module):
    """Batch norm and a 3×3 convolution (the stem), then a transition repeated with shared weights.

    Image (B, channels, H, W) → features (B, transition channels, H, W). The transition is called as
    ``transition(state, stem, correlation, step)`` and returns the next state and correlation; what
    it does not share between states (batch norm) it keeps per ``step``.

    Source: Liu et al., NeurIPS 2018, Fig. 3, after the published code: every state gets the stem's
    output, and the first state is that output.
    """

    def __init__(self, config: RecurrentConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        self.steps = config.steps
        self.stem = nn.Sequential(
            nn.BatchNorm2d(channels, EPSILON, MOMENTUM),
            nn.Conv2d(channels, self.out_channels, 3, padding=1),
        )
        self.transition = config.transition.build(steps=config.steps)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        stem: Tensor = self.stem(image)
        state, correlation = stem, None
        for step in range(self.steps):
            state, correlation = self.transition(state, stem, correlation, step)
        return state


RECURRENT = ComponentInfo(
    kind="recurrent-wrapper",
    name="recurrent",
    factory=Recurrent,
    config=RecurrentConfig,
    summary="one transition repeated T times with shared weights, batch norm per state",
    paper="Liu et al., Non-Local Recurrent Network for Image Restoration, NeurIPS 2018",
    # The core has no transition of its own.
    example={
        "steps": 2,
        "transition": {
            "name": "nonlocal-residual",
            "channels": 4,
            "nonlocal": {
                "name": "soft-block-matching",
                "neighborhood": {"kind": "window", "size": 3, "border": "zero"},
                "embedding_channels": 2,
            },
        },
    },
    url="https://arxiv.org/abs/1806.02919",
)
