"""What is scored: the pictures of a folder, each with the input that it is to be restored from."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from toolbox.degradations.noise import add_noise
from toolbox.errors import ImageError, SpecError
from toolbox.images.arrays import to_tensor, with_channels
from toolbox.images.files.formats import DATA_SUFFIXES
from toolbox.images.files.picture import read_pixels
from toolbox.imresize import imresize
from toolbox.pixels import to_bytes
from toolbox.records import ProtocolInfo


@dataclass(frozen=True)
class Case:
    """One picture to restore, and from what."""

    original: Path
    low: Path | None  # its degraded partner, which may be missing; None: the protocol makes the input
    scale: float | None  # output over input size; None: what the pair has

    def sha256(self) -> str:
        """Of the files, so that a score is known to be of these pictures."""
        files = [path for path in (self.original, self.low) if path is not None and path.exists()]
        return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


@dataclass(frozen=True)
class Sample:
    """A case that was read: both pictures (1, C, H, W) in [0, 1], the input maybe beyond it by its noise."""

    original: Tensor
    degraded: Tensor
    scale: float
    notes: tuple[str, ...]  # what a reader of the score should know
    conditions: Mapping[str, float] = field(default_factory=dict)  # what a network may be told of the input


def find_cases(
    folder: Path, protocol: ProtocolInfo, low: str | None = None, scales: Sequence[float] = ()
) -> list[Case]:
    """The pictures of a folder, by name, once for each scale that is to be made of them.

    Args:
        folder: the originals.
        protocol: says whether the input is noisy or of low resolution.
        low: a folder with the low-resolution pictures, or what their names end in (``_LR``, ``x2``) where
            the originals' end in nothing or in ``_HR``; by default ``_LR``, unless scales are given.
        scales: scales to reduce the originals by; with ``low``, those that its pictures may have.

    Raises:
        ImageError: there is no picture, or none of a pair where pairs are needed.
        SpecError: the protocol makes its input in another way.
    """
    if not folder.is_dir():
        raise ImageError(f"{folder}: is no folder, expected one with pictures")
    pictures = _pictures(folder)
    if not pictures:
        raise ImageError(f"{folder}: nothing to score, expected pictures ({', '.join(DATA_SUFFIXES)})")
    if not protocol.enlarges and not protocol.paired:
        if low is not None or scales:
            raise SpecError(f"got --lr or --scale, but {protocol.name} adds noise to the pictures; leave them out")
        return [Case(path, None, 1.0) for path in pictures]
    if protocol.paired and (low is None or scales):
        raise SpecError(f"{protocol.name} expected --lr, the folder with the degraded pictures, and no --scale")
    if low is None and scales:
        originals = [path for path in pictures if not path.stem.endswith("_LR")]
        return [Case(path, None, scale) for scale in scales for path in originals]
    if len(scales) > 1:
        raise SpecError("got --lr and several --scale, expected one, the scale of the pairs")
    pairs = _pairs_of_folders(pictures, Path(low)) if low and Path(low).is_dir() else _pairs_of_names(pictures, low)
    if not pairs:
        expected = f"*{low} beside *" if low else "pairs named *_HR and *_LR, or --scale to make the input of any"
        raise ImageError(f"{folder}: nothing to score, {protocol.name} expected {expected}")
    scale = 1.0 if protocol.paired else scales[0] if scales else None
    return [Case(path, partner, scale) for path, partner in pairs]


def read_sample(case: Case, protocol: ProtocolInfo, sigma: float) -> Sample:
    """Read a case's pictures, or make its input from the original.

    Raises:
        ImageError: a picture is missing, cannot be read, or is too small, or the pair is none.
    """
    sample = replace(_read_sample(case, protocol), conditions=protocol.tells(sigma))
    if protocol.noise_seed is None:
        return sample
    generator = torch.Generator().manual_seed(protocol.noise_seed)
    return replace(sample, degraded=add_noise(sample.degraded, sigma, generator))


def _read_sample(case: Case, protocol: ProtocolInfo) -> Sample:
    """The sample before noise is added."""
    original, notes = _read(case.original, protocol)
    if not protocol.enlarges and not protocol.paired:
        return Sample(original, original, 1.0, notes)
    height, width = original.shape[-2:]
    if case.low is None:
        scale = case.scale or 1.0
        low = tuple(math.floor(side / scale + 1e-9) for side in (height, width))
        if min(low) < 1:
            raise ImageError(f"got a picture of {width}x{height}, too small to reduce by {scale:g}")
        original = original[..., : round(low[0] * scale), : round(low[1] * scale)]
        degraded = imresize(to_bytes(original), size=(low[0], low[1])).float() / 255
        return Sample(original, degraded, scale, notes)
    if not case.low.exists():
        raise ImageError(f"{case.low} is missing, expected the partner of {case.original.name}")
    degraded, _ = _read(case.low, protocol)
    scale = scale_of_pair((height, width), (degraded.shape[-2], degraded.shape[-1]))
    if case.scale is not None and abs(scale - case.scale) > 0.01:
        raise ImageError(f"got a pair of scale {scale:g}, expected --scale {case.scale:g}")
    if scale == round(scale):  # as published code does, pixels that the low resolution does not cover are left out
        original = original[..., : degraded.shape[-2] * round(scale), : degraded.shape[-1] * round(scale)]
    return Sample(original, degraded, scale, notes)


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in DATA_SUFFIXES)


def _pairs_of_folders(originals: list[Path], folder: Path) -> list[tuple[Path, Path]]:
    """Partners of the same name, but for an ending such as _HR, _LR or x2."""
    reduced = {re.sub(r"(_LR|x\d+(\.\d+)?)$", "", path.stem): path for path in _pictures(folder)}
    return [(path, reduced.get(path.stem.removesuffix("_HR"), folder / path.name)) for path in originals]


def _pairs_of_names(pictures: list[Path], suffix: str | None) -> list[tuple[Path, Path]]:
    """Partners in the same folder; without a suffix, only what is named _HR has one."""
    ending = suffix or "_LR"
    reduced = {path.stem.removesuffix(ending): path for path in pictures if path.stem.endswith(ending)}
    if suffix and not reduced:
        return []
    originals = [path for path in pictures if not path.stem.endswith(ending)]
    return [
        (path, reduced.get(name, path.with_name(f"{name}{ending}{path.suffix}")))
        for path in originals
        if (name := path.stem.removesuffix("_HR")) != path.stem or suffix
    ]


def _read(path: Path, protocol: ProtocolInfo) -> tuple[Tensor, tuple[str, ...]]:
    """A picture in the protocol's color, at the depth of its file, and what was done to it for that."""
    pixels = read_pixels(path)
    if protocol.color == "all":
        return to_tensor(pixels), ()
    is_gray = pixels.ndim == 2 or pixels.shape[2] < 3
    image = to_tensor(with_channels(pixels, 1 if protocol.color == "gray" else 3))
    if is_gray and protocol.color != "gray":
        return image, ("a gray picture, scored as equal channels of color",)
    return image, ("a color picture, scored as gray",) if protocol.color == "gray" and not is_gray else ()


def scale_of_pair(size: tuple[int, int], low: tuple[int, int]) -> float:
    """The whole scale that explains both sides, rounded either way; else the ratio of the sides.

    Raises:
        ImageError: the sides have different ratios.
    """
    whole = max(1, round(size[0] / low[0]))
    if all(n in (side // whole, -(-side // whole)) for side, n in zip(size, low, strict=True)):
        return float(whole)
    # A scale s gives a side n pixels where n - 1 < side / s < n + 1.
    least = max(1, *(side / (n + 1) for side, n in zip(size, low, strict=True)))
    most = min(side / max(n - 1, 0.5) for side, n in zip(size, low, strict=True))
    if size[0] < low[0] or least >= most:
        raise ImageError(
            f"got a pair of {size[1]}x{size[0]} and {low[1]}x{low[0]} pixels, expected the same scale on both axes"
        )
    return size[0] / low[0]
