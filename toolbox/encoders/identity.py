"""An encoder that does nothing, for decoders that work on the image itself."""

from __future__ import annotations

from torch import Tensor, nn

from toolbox.config import EncoderConfig
from toolbox.records import ComponentInfo


class IdentityConfig(EncoderConfig):
    """No settings."""

    def out_channels(self, channels: int) -> int:
        return channels

    def receptive_field(self) -> int | None:
        return 0


class Identity(nn.Module):
    """Return the image as the features: (B, C, H, W), unchanged."""

    def __init__(self, config: IdentityConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) → the same."""
        return image


IDENTITY = ComponentInfo(
    kind="encoder",
    name="identity",
    factory=Identity,
    config=IdentityConfig,
    summary="the image itself as features",
    paper="none: the neutral element of composition",
)
