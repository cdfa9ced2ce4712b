"""A plugin of Toolbox: the nearest feature as an implicit decoder."""

from typing import Literal

from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, Content, DecoderConfig, ImplicitDecoder, Positions, hookimpl, nearest

TOOLBOX_API = 1


class MinimalConfig(DecoderConfig):
    """Settings of the decoder."""

    def sizes(self) -> Literal["any"]:
        return "any"

    def receptive_field(self) -> int:
        return 1


class Minimal(ImplicitDecoder):
    """Features (B, features, H, W) and a size → image (B, channels, *size), for any size."""

    def __init__(self, config: MinimalConfig, features: int, channels: int) -> None:
        super().__init__()
        self.content = nn.Conv2d(features, channels, 3, padding=1)

    def prepare(self, features: Tensor) -> Tensor:
        """(B, features, H, W) → content (B, H, W, channels)."""
        return self.content(features).permute(0, 2, 3, 1)

    def sample(self, content: Content, positions: Positions) -> Tensor:
        """Content and positions → (B, *shape of the positions, channels)."""
        rows = nearest(positions.y, positions.counts[0], content.height)
        columns = nearest(positions.x, positions.counts[1], content.width)
        return content.at(rows, columns)


@hookimpl
def toolbox_components() -> list[ComponentInfo]:
    """A spec can name these components."""
    return [ComponentInfo("decoder", "minimal", Minimal, MinimalConfig, "the nearest feature", "none: an example")]
