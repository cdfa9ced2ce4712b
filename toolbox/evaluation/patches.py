"""Restore a picture patch by patch, as NLRN's published evaluation does."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor

from toolbox.errors import ImageError
from toolbox.restorer import Restorer

BATCH = 16  # patches at a time
NONE: Mapping[str, float] = {}


def restore_in_patches(
    restorer: Restorer, image: Tensor, side: int, stride: int, conditions: Mapping[str, float] = NONE
) -> Tensor:
    """(1, C, H, W) → the same size in [0, 1]: each pixel is the average over all patches that contain it.

    Patches start at every multiple of ``stride``, and at the far border. They are never larger than the
    picture.

    Raises:
        ImageError: the restorer needs another number of channels.
    """
    if image.shape[1] != restorer.channels:
        raise ImageError(f"got a picture of {image.shape[1]} channels, expected {restorer.channels} for this model")
    corners = list(itertools.product(*(_starts(length, side, stride) for length in image.shape[-2:])))
    image = image.to(restorer.mean)
    total, count = torch.zeros_like(image), torch.zeros_like(image)
    training = restorer.training
    restorer.eval()
    try:
        with torch.inference_mode():
            for start in range(0, len(corners), BATCH):
                places = [(..., slice(y, y + side), slice(x, x + side)) for y, x in corners[start : start + BATCH]]
                restored = restorer(torch.cat([image[place] for place in places]), **conditions)
                for place, patch in zip(places, restored, strict=True):
                    total[place] += patch
                    count[place] += 1
    finally:
        restorer.train(training)
    return (total / count).clamp(0, 1)


def _starts(length: int, side: int, stride: int) -> list[int]:
    last = max(length - side, 0)
    return sorted({*range(0, last, stride), last})
