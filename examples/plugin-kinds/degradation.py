"""A plugin of Toolbox: white pixels as a degradation."""

import torch
from pydantic import Field
from torch import Generator, Tensor

from toolbox.plugin import Config, DegradationInfo, hookimpl

TOOLBOX_API = 1


class MinimalConfig(Config):
    """Settings of the degradation."""

    share: float = Field(default=0.05, ge=0, le=1, description="share of pixels that become white")


def degrade(config: MinimalConfig, picture: Tensor, scale: float, generator: Generator) -> Tensor:
    """A picture (C, H, W) in [0, 1] → the degraded one. It draws from the generator and from nothing else."""
    height, width = picture.shape[1:]
    drawn = torch.rand(height, width, generator=generator)
    return picture.masked_fill(drawn < config.share, 1.0)


@hookimpl
def toolbox_degradations() -> list[DegradationInfo]:
    """A training recipe can name these degradations."""
    return [DegradationInfo("minimal", degrade, MinimalConfig, "white pixels at random places", "none: an example")]
