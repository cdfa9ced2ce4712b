"""Training pictures: decoded once, cut into random patches that depend only on the seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from toolbox.errors import ImageError


def read_pictures(folder: Path, channels: int) -> list[Tensor]:
    """Every PNG and JPEG below a folder as uint8 (channels, H, W), sorted by path; 1 channel is luma.

    Raises:
        ImageError: there is no picture.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if not files:
        raise ImageError(f"{folder}: no PNG or JPEG found, expected a folder of training pictures")
    pictures = []
    for file in files:
        with Image.open(file) as image:
            pixels = np.array(image.convert("L" if channels == 1 else "RGB"))
        pictures.append(torch.from_numpy(pixels).reshape(*pixels.shape[:2], channels).permute(2, 0, 1).contiguous())
    return pictures


def random_patches(pictures: Sequence[Tensor], batch: int, side: int, generator: torch.Generator) -> Tensor:
    """(batch, C, side, side) in [0, 1]: random crops in random ones of the eight flips and turns."""

    def draw(stop: int) -> int:
        return int(torch.randint(stop, (), generator=generator))

    patches = []
    for _ in range(batch):
        picture = pictures[draw(len(pictures))]
        if min(picture.shape[1:]) < side:
            height, width = picture.shape[1:]
            raise ImageError(f"got a picture of {width}x{height}, expected at least {side}x{side}, the size of a patch")
        top, left = draw(picture.shape[1] - side + 1), draw(picture.shape[2] - side + 1)
        patch = torch.rot90(picture[:, top : top + side, left : left + side], draw(4), (1, 2))
        patches.append(patch.flip(2) if draw(2) else patch)
    return torch.stack(patches).float() / 255
