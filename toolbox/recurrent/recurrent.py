"""The recurrent wrapper: an encoder that applies one transition T times."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from toolbox.config import EncoderConfig
from toolbox.records import ComponentInfo
from toolbox.recurrent.per_state import EPSILON, MOMENTUM
from toolbox.spec import EncoderSpec, TransitionSpec


class RecurrentConfig(EncoderConfig):
    """Settings of the recurrent wrapper."""

    steps: int = Field(default=12, gt=0, le=1000, description="number of recurrent states, T in the NLRN paper")
    transition: TransitionSpec
    stem: EncoderSpec | None = Field(
        default=None,
        description="what makes the first state of the image; batch norm and a 3 × 3 convolution unless given",
    )
    collect: Literal["last", "concat", "all"] = Field(
        default="last",
        description="the last state; all states as channels, the first one first; or, in training, all states one "
        "after the other in the batch, each of which is decoded and compared, and else the last",
    )

    def out_channels(self, channels: int) -> int:
        width: int = self.transition.config.channels
        if self.stem is not None and (given := self.stem.config.out_channels(channels)) != width:
            raise ValueError(f"stem {self.stem.name!r} gives {given} channels, expected {width}, the transition's")
        return width * self.steps if self.collect == "concat" else width

    def receptive_field(self) -> int | None:
        first = 1 if self.stem is None else self.stem.config.receptive_field()
        per_state = self.transition.config.receptive_field()
        return None if first is None or per_state is None else first + self.steps * per_state


class Recurrent(nn.Module):
    """A stem, by default batch norm and a 3×3 convolution, then a transition repeated with shared weights.

    Image (B, channels, H, W) → features (B, out_channels, H, W); with ``collect: all`` and in training
    (steps · B, out_channels, H, W), state by state. The wrapper calls
    ``transition(state, stem, correlation, step)``, which returns the next state and correlation. Parts
    that states do not share (batch norm) are kept per ``step``.

    Source: Liu et al., NeurIPS 2018, Fig. 3, after the published code. Every state gets the stem's
    output, which is also the first state.
    """

    def __init__(self, config: RecurrentConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        self.steps = config.steps
        self.collect = config.collect
        if config.stem is None:
            self.stem: nn.Module = nn.Sequential(
                nn.BatchNorm2d(channels, EPSILON, MOMENTUM),
                nn.Conv2d(channels, config.transition.config.channels, 3, padding=1),
            )
        else:
            self.stem = config.stem.build(channels=channels)
        self.transition = config.transition.build(steps=config.steps)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        stem: Tensor = self.stem(image)
        state, correlation, states = stem, None, []
        for step in range(self.steps):
            state, correlation = self.transition(state, stem, correlation, step)
            if self.collect != "last":
                states.append(state)
        if self.collect == "concat":
            return torch.cat(states, 1)
        return torch.cat(states) if self.collect == "all" and self.training else state


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
