"""Gaussian noise with correlated neighbors and colors, as in a processed or resized picture."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Generator, Tensor

from toolbox.config import Config
from toolbox.degradations.blur import gaussian_blur, gaussian_kernel
from toolbox.degradations.drawing import drawn, ordered
from toolbox.degradations.noise import Sigma
from toolbox.learning import Degraded
from toolbox.records import DegradationInfo

Width = Annotated[float, Field(gt=0, le=4)]
Share = Annotated[float, Field(ge=0, le=1)]


class CorrelatedNoiseConfig(Config):
    """Settings of correlated noise."""

    sigma: Annotated[Sigma | tuple[Sigma, Sigma], AfterValidator(ordered)] = Field(
        description="standard deviation of 255, or [low, high] to draw one for each patch"
    )
    blur: Annotated[Width | tuple[Width, Width], AfterValidator(ordered)] = Field(
        default=(0.3, 1.5), description="standard deviation, in pixels, of the Gaussian that blurs the noise"
    )
    shared: Annotated[Share | tuple[Share, Share], AfterValidator(ordered)] = Field(
        default=(0.0, 1.0), description="share of the variance that all channels share"
    )


def correlated_noise(config: CorrelatedNoiseConfig, picture: Tensor, scale: float, generator: Generator) -> Degraded:
    """Add blurred noise of a fixed or drawn strength, renormalized, not clipped; the condition is ``sigma``."""
    sigma, blur, shared = (drawn(each, generator) for each in (config.sigma, config.blur, config.shared))
    noise = torch.randn(picture.shape, generator=generator, dtype=picture.dtype)
    common = torch.randn(picture.shape[1:], generator=generator, dtype=picture.dtype)
    mixed = (1 - shared) ** 0.5 * noise + shared**0.5 * common
    norm = float(gaussian_kernel(blur).square().sum())  # of one axis; two give the standard deviation
    return Degraded(picture + gaussian_blur(mixed, blur) * (sigma / 255 / norm), {"sigma": sigma})


CORRELATED_NOISE = DegradationInfo(
    name="correlated-noise",
    degrade=correlated_noise,
    config=CorrelatedNoiseConfig,
    summary="Gaussian noise that is correlated between neighbors and between colors, not clipped",
    source="none: what demosaicing, denoising in the camera and resizing leave of white noise",
    example={"sigma": [5, 50]},
)
