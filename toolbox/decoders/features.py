"""A decoder that does nothing, for networks that return features."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from toolbox.config import DecoderConfig
from toolbox.records import ComponentInfo


class FeaturesConfig(DecoderConfig):
    """No settings."""

    def sizes(self) -> Literal["same", "any"] | int:
        return "same"

    def receptive_field(self) -> int | None:
        return 0

    def check_join(self, features: int, channels: int) -> None:
        if features != channels:
            raise ValueError(f"features got {features} channels, expected {channels}; set output_channels: {features}")


class Features(nn.Module):
    """Return the features: (B, C, H, W), unchanged."""

    def __init__(self, config: FeaturesConfig, features: int, channels: int) -> None:
        super().__init__()

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, C, H, W) → the same."""
        return features


FEATURES = ComponentInfo(
    kind="decoder",
    name="features",
    factory=Features,
    config=FeaturesConfig,
    summary="the encoder's features themselves, for use in other code",
    paper="none: the neutral element of composition",
)
