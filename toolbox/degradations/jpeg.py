"""JPEG compression."""

from __future__ import annotations

import io
from typing import Annotated

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

Quality = Annotated[int, Field(ge=1, le=95)]


class JpegConfig(Config):
    """Settings of JPEG compression."""

    quality: Annotated[Quality | tuple[Quality, Quality], AfterValidator(ordered)] = Field(
        description="Pillow's quality, or [low, high] to draw one for each patch"
    )


def compress(config: JpegConfig, picture: Tensor, scale: float, generator: Generator) -> Degraded:
    """Compressed and decompressed; it tells ``quality``."""
    quality = round(drawn(config.quality, generator))
    pixels = to_bytes(picture).permute(1, 2, 0).numpy()
    memory = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.save(memory, "JPEG", quality=quality)
    with Image.open(memory) as compressed:
        values = np.array(compressed).reshape(pixels.shape)
    restored = torch.from_numpy(values).permute(2, 0, 1).to(picture.dtype) / 255
    return Degraded(restored, {"quality": quality})


JPEG = DegradationInfo(
    name="jpeg",
    degrade=compress,
    config=JpegConfig,
    summary="JPEG compression of a fixed or drawn quality; tells quality",
    source="ITU-T T.81, as Pillow writes it",
)
