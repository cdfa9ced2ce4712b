"""Gaussian noise."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Generator, Tensor

from toolbox.config import Config
from toolbox.degradations.drawing import drawn, ordered
from toolbox.learning import Degraded
from toolbox.records import DegradationInfo

Sigma = Annotated[float, Field(ge=0, le=255)]


class GaussianNoiseConfig(Config):
    """Settings of Gaussian noise."""

    sigma: Annotated[Sigma | tuple[Sigma, Sigma], AfterValidator(ordered)] = Field(
        description="standard deviation of 255, or [low, high] to draw one for each patch"
    )


def add_noise(clean: Tensor, sigma: float, generator: Generator) -> Tensor:
    """Add Gaussian noise, not clipped.

    Args:
        clean: image in [0, 1], any shape.
        sigma: standard deviation on the scale of 0 to 255.
        generator: source of the noise.
    """
    noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype).to(clean.device)
    return clean + noise * (sigma / 255)


def gaussian_noise(config: GaussianNoiseConfig, picture: Tensor, scale: float, generator: Generator) -> Degraded:
    """Add noise of a fixed or drawn strength, not clipped, with the condition ``sigma``."""
    sigma = drawn(config.sigma, generator)
    return Degraded(add_noise(picture, sigma, generator), {"sigma": sigma})


GAUSSIAN_NOISE = DegradationInfo(
    name="gaussian-noise",
    degrade=gaussian_noise,
    config=GaussianNoiseConfig,
    summary="Gaussian noise of a fixed or drawn strength, not clipped, with the condition sigma",
    source="the training of DnCNN, NLRN and their successors",
    example={"sigma": [5, 50]},
)
