"""A plugin of Toolbox: the error of edges as a loss."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from toolbox.plugin import LossConfig, LossInfo, LossInput, hookimpl

TOOLBOX_API = 1


class MinimalConfig(LossConfig):
    """Settings of the loss."""

    smallest: ClassVar[int] = 2  # an edge is between two pixels


def edge_loss(given: LossInput) -> Tensor:
    """Mean absolute error of the differences between neighboring pixels."""
    error = given.restored - given.clean
    return error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()


def create(config: MinimalConfig, restorer: object) -> Callable[[LossInput], Tensor]:
    """The loss for the training of a restorer. A loss with weights of its own returns a ``torch.nn.Module``."""
    return edge_loss


@hookimpl
def toolbox_losses() -> list[LossInfo]:
    """A training recipe can name these losses."""
    return [LossInfo("minimal", create, MinimalConfig, "the absolute error of edges", "none: an example")]
