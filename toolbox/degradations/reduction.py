"""Reduction to low resolution."""

from __future__ import annotations

from torch import Generator, Tensor

from toolbox.config import Config
from toolbox.imresize import imresize
from toolbox.pixels import to_bytes
from toolbox.records import DegradationInfo


class BicubicReductionConfig(Config):
    """No settings: the ``scale`` of the recipe decides."""


def reduce_bicubically(config: BicubicReductionConfig, picture: Tensor, scale: float, generator: Generator) -> Tensor:
    """Reduce an 8-bit picture by ``scale`` as MATLAB does; a scale of 1 changes nothing."""
    height, width = (round(side / scale) for side in picture.shape[-2:])
    return imresize(to_bytes(picture), size=(height, width)).to(picture.dtype) / 255


BICUBIC_REDUCTION = DegradationInfo(
    name="bicubic",
    degrade=reduce_bicubically,
    config=BicubicReductionConfig,
    summary="MATLAB's bicubic reduction by the scale of the batch",
    source="imresize of MATLAB, as the benchmarks of super-resolution use it",
)
