"""A plugin of Toolbox: one convolution as a transition, which a recurrent wrapper repeats."""

from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, Correlation, TransitionConfig, hookimpl

TOOLBOX_API = 1


class MinimalConfig(TransitionConfig):
    """Settings of the transition."""

    channels: int = Field(default=16, gt=0, description="channels of the state")

    def receptive_field(self) -> int:
        return 1


class Minimal(nn.Module):
    """State and stem (B, channels, H, W) → the next state, of the same shape."""

    def __init__(self, config: MinimalConfig, steps: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(config.channels, config.channels, 3, padding=1)

    def forward(
        self, state: Tensor, stem: Tensor, correlation: Correlation | None, step: int
    ) -> tuple[Tensor, Correlation | None]:
        """(state, stem, correlation of the state before, number of the step) → (state, correlation)."""
        return stem + self.conv(state.relu()), correlation


@hookimpl
def toolbox_components() -> list[ComponentInfo]:
    """A spec can name these components."""
    summary = "one convolution plus the stem"
    return [ComponentInfo("transition", "minimal", Minimal, MinimalConfig, summary, "none: an example")]
