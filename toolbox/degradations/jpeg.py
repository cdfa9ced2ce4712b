"""JPEG compression."""

from __future__ import annotations

import io
from typing import Annotated, Literal

import numpy as np
import torch
from PIL import Image
from pydantic import AfterValidator, Field
from torch import Generator, Tensor

from toolbox.config import Config
from toolbox.degradations.drawing import drawn, ordered
from toolbox.learning import Degraded
from toolbox.pixels import to_bytes
from toolbox.records import DegradationInfo

Quality = Annotated[int, Field(ge=1, le=100)]
Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]

BLOCK = 16  # side of JPEG's largest unit in pixels, with colors at half the resolution


class JpegConfig(Config):
    """Settings of JPEG compression."""

    quality: Annotated[Quality | tuple[Quality, Quality], AfterValidator(ordered)] = Field(
        description="Pillow's quality, or [low, high] to draw one for each patch"
    )
    subsampling: tuple[Subsampling, ...] = Field(
        default=("4:2:0",), min_length=1, description="subsamplings of the colors; one is drawn for each patch"
    )
    shifted: bool = Field(default=False, description="start the grid of blocks at a drawn place")


def compress(config: JpegConfig, picture: Tensor, scale: float, generator: Generator) -> Degraded:
    """Compress and decompress a patch, with the condition ``quality``."""
    quality = round(drawn(config.quality, generator))
    choices = config.subsampling
    subsampling = choices[int(torch.randint(len(choices), (), generator=generator)) if len(choices) > 1 else 0]
    top, left = torch.randint(BLOCK, (2,), generator=generator).tolist() if config.shifted else (0, 0)
    return Degraded(compressed(picture, quality, subsampling, (top, left)), {"quality": quality})


def compressed(
    picture: Tensor, quality: int, subsampling: Subsampling = "4:2:0", shift: tuple[int, int] = (0, 0)
) -> Tensor:
    """A picture (C, H, W) in [0, 1], gray or RGB, after JPEG: the same shape, 8-bit levels.

    Args:
        picture: is first clipped and rounded to 8 bits.
        quality: Pillow's, 1 to 100.
        subsampling: subsampling of the colors.
        shift: rows and columns to move the picture down and right on the grid of blocks; the edge is repeated.
    """
    top, left = shift
    pixels = np.pad(to_bytes(picture).permute(1, 2, 0).numpy(), ((top, 0), (left, 0), (0, 0)), mode="edge")
    memory = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.save(memory, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(memory) as decompressed:
        values = np.array(decompressed).reshape(pixels.shape)[top:, left:]
    return torch.from_numpy(values).permute(2, 0, 1).to(picture.dtype) / 255


JPEG = DegradationInfo(
    name="jpeg",
    degrade=compress,
    config=JpegConfig,
    summary="JPEG compression of a fixed or drawn quality, with the condition quality",
    source="ITU-T T.81, as Pillow writes it",
    example={"quality": [10, 90]},
)
