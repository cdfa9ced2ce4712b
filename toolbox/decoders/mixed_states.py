"""Decode every state of a recurrent encoder by one decoder, and mix the images."""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from toolbox.config import DecoderConfig, located
from toolbox.records import ComponentInfo
from toolbox.spec import DecoderSpec


class MixedStatesConfig(DecoderConfig):
    """Settings of a mixture of decoded states."""

    states: int = Field(gt=0, le=1000, description="number of states; the recurrent encoder collects them by concat")
    decoder: DecoderSpec = Field(description="decodes each state")

    def sizes(self) -> Literal["same", "any"] | int:
        sizes: Literal["same", "any"] | int = self.decoder.config.sizes()
        return sizes

    def receptive_field(self) -> int | None:
        radius: int | None = self.decoder.config.receptive_field()
        return radius

    def check_join(self, features: int, channels: int) -> None:
        if features % self.states:
            raise ValueError(
                f"mixed-states got {features} channels, expected a multiple of {self.states}, the number of states; "
                "let the recurrent encoder collect: concat"
            )
        self.decoder.config.check_join(features // self.states, channels)

    @model_validator(mode="after")
    def _check_inside(self) -> Self:
        if self.decoder.config.takes_image:
            raise located(("decoder",), f"got {self.decoder.name!r}, expected a decoder that takes features alone")
        return self


class MixedStates(nn.Module):
    """States side by side (B, T·F, H, W) → the weighted mean of T decoded images (B, channels, *size).

    In training it gives all images instead, (T·B + B, channels, *size): those of the states, the first one first, and
    their mean, so that each is compared with the clean image.

    Source: Kim et al., "Deeply-Recursive Convolutional Network for Image Super-Resolution", CVPR 2016, Section 3.2. The
    weights are a softmax of the learned numbers. They sum to one, so that the restorer can add its global skip once.
    """

    def __init__(self, config: MixedStatesConfig, features: int, channels: int) -> None:
        super().__init__()
        self.decoder = config.decoder.build(features=features // config.states, channels=channels)
        self.mixture = nn.Parameter(torch.zeros(config.states))

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, T·F, H, W) and (h, w) → (B, channels, h, w), and in training (T·B + B, channels, h, w)."""
        states = features.unflatten(1, (len(self.mixture), -1)).transpose(0, 1)
        images = self.decoder(states.flatten(0, 1), size)
        by_state = images.unflatten(0, (len(self.mixture), -1))
        mixed: Tensor = (by_state * self.mixture.softmax(0).view(-1, 1, 1, 1, 1)).sum(0)
        return torch.cat((images, mixed)) if self.training else mixed


MIXED_STATES = ComponentInfo(
    kind="decoder",
    name="mixed-states",
    factory=MixedStates,
    config=MixedStatesConfig,
    summary="the mean of all decoded states of a recurrent encoder, with learned weights",
    paper="Kim et al., Deeply-Recursive Convolutional Network for Image Super-Resolution, CVPR 2016",
    example={"states": 3, "decoder": "conv"},
    url="https://arxiv.org/abs/1511.04491",
)
