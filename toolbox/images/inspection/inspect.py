"""The public call ``inspect``: what a picture suffers from, and the models that it would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from toolbox.errors import ImageError
from toolbox.images.arrays import check_array, to_array, white_of
from toolbox.images.files.picture import page_of
from toolbox.images.files.reading import PictureFile, opened
from toolbox.images.inspection.choice import Choice, choose
from toolbox.images.inspection.compression import quality_of_pixels, quality_of_tables
from toolbox.images.inspection.noise import estimate_noise
from toolbox.images.inspection.sharpness import estimate_blur
from toolbox.pixels import Array

WINDOW, MOST = 384, 3  # side of a window in pixels, and windows along a side of a large picture
GRID = 16  # windows start at multiples of it, so that the blocks of a JPEG fit together
BYTES = 4  # for each value of the decoded page, with what decoding needs
COLORS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in JPEG
Tables = Mapping[int, Sequence[int]]


@dataclass(frozen=True)
class Inspection:
    """What Toolbox sees in a picture."""

    size: tuple[int, int]  # (width, height)
    channels: int  # 1 or 3, without alpha
    bits: int  # of each channel: 8, 16 or 32
    noise: float  # σ in levels of 255, over all channels
    jpeg: int | None  # quality of the worst JPEG that it was, as Pillow and libjpeg count; None if it shows none
    blur: float | None  # σ in pixels of the Gaussian that blurs its edges; None if it has none
    black: float  # share of the values at black
    white: float  # share of the values at white

    def choice(self, *, resizes: bool = False, sigma: float | None = None) -> Choice:
        """The models that Toolbox would take for a result of the same or another size, and why.

        ``sigma`` takes the place of the estimated noise.
        """
        return choose(self.noise if sigma is None else sigma, self.jpeg, resizes=resizes)

    def record(self) -> dict[str, Any]:
        """What is seen and the choices, for JSON."""
        same, resized = self.choice(), self.choice(resizes=True)
        return asdict(self) | {
            "models": list(same.models),
            "models_with_a_size": list(resized.models),
            "reason": same.reason,
        }


def inspect(image: str | Path | Image.Image | np.ndarray[Any, Any] | Tensor) -> Inspection:
    """Look at a picture: its noise, JPEG quality, blur, clipping and size, and the models that it would take.

    Noise may be white or correlated, as cameras leave it. Toolbox looks at parts of a large picture, and at the first
    page of a file.

    Args:
        image: a path, a PIL image, an array (H, W) or (H, W, C), or a tensor (H, W), (C, H, W) or (1, C, H, W), with
            the types and ranges of ``toolbox.restore``.

    Raises:
        ImageError: the picture cannot be read.
    """
    if isinstance(image, (str, Path)):
        with opened(Path(image)) as file:
            return inspect_file(file)
    if isinstance(image, Image.Image):
        return inspect_pixels(page_of(image).pixels, getattr(image, "quantization", None) or None)
    return inspect_pixels(to_array(image) if isinstance(image, Tensor) else image)


def inspect_file(file: PictureFile) -> Inspection:
    """Look at the first page of an open file.

    Raises:
        ImageError: the page is damaged, or too large for the free memory.
    """
    colors, height, width = file.shape(file.pages[0])
    needed, free = BYTES * colors * height * width, psutil.virtual_memory().available
    if needed > free:
        raise ImageError(
            f"{file.name}: looking at {width}x{height} pixels takes {needed / 1e9:.2f} GB, expected at most "
            f"{free / 1e9:.2f} GB; name a model, or use a smaller picture or more memory"
        )
    return inspect_pixels(file.page(file.pages[0], keep=True).pixels, file.tables)


def inspect_pixels(pixels: Array, tables: Tables | None = None) -> Inspection:
    """Look at an array (H, W) or (H, W, C), with the quantization tables of its JPEG if it comes from one."""
    check_array(pixels)
    if np.issubdtype(pixels.dtype, np.floating) and not np.isfinite(pixels).all():
        raise ImageError("got an array with values that are not finite, expected them in [0, 1]")
    height, width, channels = (*pixels.shape, 1)[:3]
    colors = pixels.reshape(height, width, channels)[..., : 1 if channels < 3 else 3]
    windows = [[_levels(colors[rows, columns]) for columns in _segments(width)] for rows in _segments(height)]
    joined = np.concatenate([np.concatenate(row, 1) for row in windows])
    qualities = [] if tables is None else [quality_of_tables(tables)]
    if (quality := quality_of_pixels(_luma(joined).astype(np.float64), tables)) is not None:
        qualities.append(quality)
    blur = estimate_blur([torch.from_numpy(_luma(window)) / 255 for row in windows for window in row])
    return Inspection(
        size=(width, height),
        channels=colors.shape[2],
        bits=8 * pixels.dtype.itemsize,
        noise=round(estimate_noise(torch.from_numpy(joined).permute(2, 0, 1) / 255), 2),
        jpeg=min(qualities, default=None),
        blur=None if blur is None else round(blur, 2),
        black=round(float((colors <= 0).mean()), 4),
        white=round(float((colors >= white_of(colors)).mean()), 4),
    )


def _segments(length: int) -> list[slice]:
    """The parts of an axis to look at: all of a short one, or windows with equal distances."""
    if length <= WINDOW * MOST:
        return [slice(0, length)]
    starts = [number * (length - WINDOW) // (MOST - 1) // GRID * GRID for number in range(MOST)]
    return [slice(start, start + WINDOW) for start in starts]


def _levels(part: Array) -> NDArray[np.float32]:
    """An array of any type in levels of 255."""
    return part.astype(np.float32) * np.float32(255 / white_of(part))


def _luma(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    return picture @ COLORS if picture.shape[2] == 3 else picture[..., 0]
