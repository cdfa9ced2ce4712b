"""A plugin of Toolbox: a non-local block that compares the features themselves."""

from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, Neighborhood, NonLocalConfig, Window, attend, hookimpl

TOOLBOX_API = 1


class MinimalConfig(NonLocalConfig):
    """Settings of the non-local block."""

    neighborhood: Neighborhood = Window(size=7)

    def receptive_field(self) -> int | None:
        return self.neighborhood.radius()


class Minimal(nn.Module):
    """Features (B, channels, H, W) → the same shape. The block starts as the identity."""

    def __init__(self, config: MinimalConfig, channels: int) -> None:
        super().__init__()
        self.neighborhood = config.neighborhood
        self.projection = nn.Conv2d(channels, channels, 1)
        for weight in self.projection.parameters():
            nn.init.zeros_(weight)

    def forward(self, features: Tensor, correlation: object = None) -> tuple[Tensor, None]:
        """(features, correlation of the block before) → (features, correlation for the next block, here none)."""
        gathered, _ = attend(features, features, features, self.neighborhood)
        return features + self.projection(gathered), None


@hookimpl
def toolbox_components() -> list[ComponentInfo]:
    """A spec can name these components."""
    summary = "non-local averaging of similar features"
    return [ComponentInfo("nonlocal-block", "minimal", Minimal, MinimalConfig, summary, "none: an example")]
