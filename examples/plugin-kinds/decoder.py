"""A plugin of Toolbox: one transposed convolution as a decoder."""

from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, DecoderConfig, hookimpl

TOOLBOX_API = 1


class MinimalConfig(DecoderConfig):
    """Settings of the decoder."""

    scale: int = Field(default=2, ge=1, le=8, description="how many times larger than the features the image is")

    def sizes(self) -> int:
        return self.scale

    def receptive_field(self) -> int:
        return 0


class Minimal(nn.Module):
    """Features (B, features, H, W) and a size → image (B, channels, *size)."""

    def __init__(self, config: MinimalConfig, features: int, channels: int) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(features, channels, config.scale, config.scale)

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) → (B, channels, scale · H, scale · W)."""
        image: Tensor = self.enlarge(features)
        return image


@hookimpl
def toolbox_components() -> list[ComponentInfo]:
    """A spec can name these components."""
    summary = "one transposed convolution"
    return [ComponentInfo("decoder", "minimal", Minimal, MinimalConfig, summary, "none: an example")]
