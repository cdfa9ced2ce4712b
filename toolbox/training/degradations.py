"""What makes a bad picture of a good one, so that a network can learn the way back."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from PIL import Image
from pydantic import AfterValidator, Field
from torch import Generator, Tensor

from toolbox.config import Config, fault
from toolbox.images.imresize import imresize
from toolbox.registry import DegradationInfo


def ordered(value: float | tuple[float, float]) -> float | tuple[float, float]:
    """Check that a range has the smaller number first."""
    if isinstance(value, tuple) and value[0] > value[1]:
        raise fault((), list(value), "a range, the smaller number first")
    return value


Sigma = Annotated[float, Field(ge=0, le=255)]
Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]
Quality = Annotated[int, Field(ge=1, le=100)]

BLOCK = 16  # pixels along a side of JPEG's largest unit, with colors at half the resolution


class GaussianNoiseConfig(Config):
    """Settings of Gaussian noise."""

    sigma: Annotated[Sigma | tuple[Sigma, Sigma], AfterValidator(ordered)] = Field(
        description="standard deviation of 255, or [low, high] to draw one for each patch"
    )


class BicubicConfig(Config):
    """No settings: the recipe's ``scale`` says by how much."""


class EightBitsConfig(Config):
    """Settings of rounding."""

    share: float = Field(default=1.0, gt=0, le=1, description="share of the patches that are rounded")


class JpegConfig(Config):
    """Settings of JPEG compression."""

    quality: Annotated[Quality | tuple[Quality, Quality], AfterValidator(ordered)] = Field(
        description="Pillow's quality, or [low, high] to draw one for each patch"
    )
    subsampling: tuple[Subsampling, ...] = Field(
        default=("4:2:0",), min_length=1, description="of the colors; one is drawn for each patch"
    )
    shifted: bool = Field(default=False, description="whether the grid of blocks begins at a drawn place")


def add_noise(clean: Tensor, sigma: float, generator: Generator) -> Tensor:
    """Add Gaussian noise, not clipped.

    Args:
        clean: image in [0, 1], any shape.
        sigma: standard deviation on the scale of 0 to 255.
        generator: where the noise is drawn.
    """
    noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype).to(clean.device)
    return clean + noise * (sigma / 255)


def gaussian_noise(config: GaussianNoiseConfig, picture: Tensor, scale: float, generator: Generator) -> Tensor:
    """Noise of one or of a drawn strength, not clipped."""
    return add_noise(picture, drawn(config.sigma, generator), generator)


def bicubic(config: BicubicConfig, picture: Tensor, scale: float, generator: Generator) -> Tensor:
    """MATLAB's reduction of an 8-bit picture by ``scale``; the same size stays as it is."""
    height, width = (round(side / scale) for side in picture.shape[-2:])
    return imresize(to_bytes(picture), size=(height, width)).to(picture.dtype) / 255


def eight_bits(config: EightBitsConfig, picture: Tensor, scale: float, generator: Generator) -> Tensor:
    """Clipped and rounded, as a saved picture is."""
    rounded = float(torch.rand((), generator=generator)) < config.share
    return to_bytes(picture).to(picture.dtype) / 255 if rounded else picture


def jpeg(config: JpegConfig, picture: Tensor, scale: float, generator: Generator) -> Tensor:
    """Compressed and decompressed."""
    quality = round(drawn(config.quality, generator))
    choices = config.subsampling
    subsampling = choices[int(torch.randint(len(choices), (), generator=generator)) if len(choices) > 1 else 0]
    top, left = torch.randint(BLOCK, (2,), generator=generator).tolist() if config.shifted else (0, 0)
    pixels = np.pad(to_bytes(picture).permute(1, 2, 0).numpy(), ((top, 0), (left, 0), (0, 0)), mode="edge")
    memory = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.save(memory, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(memory) as compressed:
        values = np.array(compressed).reshape(pixels.shape)[top:, left:]
    return torch.from_numpy(values).permute(2, 0, 1).to(picture.dtype) / 255


def drawn(value: float | Sequence[float], generator: Generator) -> float:
    """The value itself, or one drawn uniformly from the range."""
    if isinstance(value, Sequence):
        low, high = value
        return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))
    return value


def to_bytes(picture: Tensor) -> Tensor:
    """[0, 1] → uint8, clipped and rounded."""
    return (picture * 255).round().clamp(0, 255).to(torch.uint8)


GAUSSIAN_NOISE = DegradationInfo(
    name="gaussian-noise",
    degrade=gaussian_noise,
    config=GaussianNoiseConfig,
    summary="Gaussian noise of a fixed or drawn strength, not clipped",
    source="the training of DnCNN, NLRN and their successors",
)
BICUBIC_REDUCTION = DegradationInfo(
    name="bicubic",
    degrade=bicubic,
    config=BicubicConfig,
    summary="MATLAB's bicubic reduction by the scale of the batch",
    source="imresize of MATLAB, as the benchmarks of super-resolution use it",
)
EIGHT_BITS = DegradationInfo(
    name="eight-bits",
    degrade=eight_bits,
    config=EightBitsConfig,
    summary="clipping and rounding to 8 bits, as a saved picture has it, of all patches or a share",
    source="none: what every saved picture went through",
)
JPEG = DegradationInfo(
    name="jpeg",
    degrade=jpeg,
    config=JpegConfig,
    summary="JPEG compression of a fixed or drawn quality",
    source="ITU-T T.81, as Pillow writes it",
)
