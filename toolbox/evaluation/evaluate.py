"""Scoring a restorer on a folder of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from toolbox.errors import ImageError
from toolbox.evaluation.protocols import Protocol
from toolbox.images.picture import read_picture
from toolbox.images.restore import restore_tensor, to_tensor
from toolbox.restorer import Restorer

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Score:
    """One picture's score in dB, and the scale it was restored by."""

    picture: str
    scale: float
    psnr: float


def originals(folder: Path, protocol: Protocol) -> list[tuple[Path, Path | None]]:
    """The pictures of a folder, each with its low-resolution partner where the protocol needs one.

    Pairs are named ``*_HR`` and ``*_LR``.

    Raises:
        ImageError: the folder has no picture that the protocol can use, or a partner is missing.
    """
    if not folder.is_dir():
        raise ImageError(f"{folder}: is no folder, expected one with pictures")
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if protocol.degrade is not None:
        found: list[tuple[Path, Path | None]] = [(path, None) for path in pictures]
    else:
        found = [
            (path, path.with_name(path.stem.removesuffix("_HR") + "_LR" + path.suffix))
            for path in pictures
            if path.stem.endswith("_HR")
        ]
    if not found:
        expected = "pictures" if protocol.degrade else "pairs named *_HR and *_LR"
        raise ImageError(f"{folder}: nothing to score, {protocol.name} expected {expected}")
    if missing := [small for _, small in found if small is not None and not small.exists()]:
        raise ImageError(f"{missing[0]}: missing, expected beside its *_HR picture")
    return found


def evaluate(restorer: Restorer, folder: Path, protocol: Protocol, sigma: float) -> Iterator[Score]:
    """The score of each picture of a folder, as it is made.

    Raises:
        ImageError: a picture cannot be read or restored.
    """
    for path, small in originals(folder, protocol):
        original = _read(path, protocol.gray)
        if protocol.degrade is not None:
            degraded = protocol.degrade(original, sigma)
        elif small is not None:
            degraded = _read(small, protocol.gray)
        scale = original.shape[-2] / degraded.shape[-2]
        height, width = original.shape[-2:]
        restored = restore_tensor(restorer, degraded, size=(height, width))
        yield Score(path.name, scale, protocol.score(restored, original, scale))


def _read(path: Path, gray: bool) -> Tensor:
    """A picture as (1, C, H, W) in [0, 1], gray or RGB as the protocol has it."""
    return to_tensor(np.asarray(read_picture(path).convert("L" if gray else "RGB")))
