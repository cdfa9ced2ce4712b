"""Restore a picture patch by patch, as the published evaluations of NLRN and CiaoSR do."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor

from toolbox.errors import ImageError
from toolbox.restorer import Restorer

PIXELS = 2**15  # of the patches that are restored together, or else one patch
NONE: Mapping[str, float] = {}
Piece = tuple[slice, slice]  # a part of an axis of the picture, and the same part of the restored one


def restore_in_patches(
    restorer: Restorer,
    image: Tensor,
    size: tuple[int, int],
    side: int,
    stride: int,
    conditions: Mapping[str, float] = NONE,
) -> Tensor:
    """(1, C, H, W) → (1, C, *size) in [0, 1]: each pixel is the average over all patches that contain it.

    Patches are squares of ``side`` pixels of the image. They start at every multiple of ``stride``, and at the far
    border. Those of an image with a shorter side are as large as that, and overlap as much.

    Raises:
        ImageError: the restorer needs another number of channels.
    """
    if image.shape[1] != restorer.channels:
        raise ImageError(f"got a picture of {image.shape[1]} channels, expected {restorer.channels} for this model")
    overlap, side = side - stride, min(side, *image.shape[-2:])
    stride = max(1, side - overlap)
    rows, columns = (_pieces(*lengths, side, stride) for lengths in zip(image.shape[-2:], size, strict=True))
    image = image.to(restorer.mean)
    total, count = (image.new_zeros(1, channels, *size) for channels in (restorer.spec.decoded_channels, 1))
    training = restorer.training
    restorer.eval()
    try:
        with torch.inference_mode():
            for restored_size, group in itertools.groupby(itertools.product(rows, columns), _restored_size):
                places = list(group)
                for start in range(0, len(places), batch := max(1, PIXELS // side**2)):
                    some = places[start : start + batch]
                    patches = torch.cat([image[..., row[0], column[0]] for row, column in some])
                    restored = restorer(patches, size=restored_size, **conditions)
                    for (row, column), patch in zip(some, restored, strict=True):
                        total[..., row[1], column[1]] += patch
                        count[..., row[1], column[1]] += 1
    finally:
        restorer.train(training)
    return (total / count).clamp(0, 1)


def _pieces(length: int, restored: int, side: int, stride: int) -> list[Piece]:
    last = length - side
    ends = ((start, start + side) for start in sorted({*range(0, last, stride), last}))
    return [(slice(*piece), slice(*(round(end * restored / length) for end in piece))) for piece in ends]


def _restored_size(place: tuple[Piece, Piece]) -> tuple[int, int]:
    (_, row), (_, column) = place
    return row.stop - row.start, column.stop - column.start
