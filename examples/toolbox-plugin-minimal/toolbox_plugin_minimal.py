"""A plugin of Toolbox: one convolution as an encoder."""

from torch import nn

from toolbox.plugin import ComponentInfo, EncoderConfig, hookimpl

TOOLBOX_API = 1


class MinimalConfig(EncoderConfig):
    """Settings of the encoder."""

    width: int = 16

    def out_channels(self, channels: int) -> int:
        return self.width

    def receptive_field(self) -> int:
        return 1


class Minimal(nn.Conv2d):
    """Image (B, channels, H, W) → features (B, width, H, W)."""

    def __init__(self, config: MinimalConfig, channels: int) -> None:
        super().__init__(channels, config.width, 3, padding=1)


@hookimpl
def toolbox_components() -> list[ComponentInfo]:
    """A spec can name these components."""
    return [ComponentInfo("encoder", "minimal", Minimal, MinimalConfig, "one convolution", "none: an example")]
