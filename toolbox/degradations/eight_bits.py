"""Rounding to the 8 bits of a saved picture."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Generator, Tensor

from toolbox.config import Config
from toolbox.pixels import rounded_to_bytes
from toolbox.records import DegradationInfo


class EightBitsConfig(Config):
    """Settings of rounding."""

    share: float = Field(default=1.0, gt=0, le=1, description="share of the patches that are rounded")


def round_some(config: EightBitsConfig, picture: Tensor, scale: float, generator: Generator) -> Tensor:
    """Clip and round some patches, like a saved picture."""
    rounded = float(torch.rand((), generator=generator)) < config.share
    return rounded_to_bytes(picture) if rounded else picture


EIGHT_BITS = DegradationInfo(
    name="eight-bits",
    degrade=round_some,
    config=EightBitsConfig,
    summary="clipping and rounding to 8 bits, as in a saved picture, of all patches or a share",
    source="none: what every saved picture went through",
)
