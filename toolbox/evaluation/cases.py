"""Find the pictures to score in a folder, each with the input to restore it from."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from toolbox.degradations.jpeg import compressed
from toolbox.degradations.noise import add_noise
from toolbox.errors import ImageError, SpecError
from toolbox.images.arrays import to_tensor, with_channels
from toolbox.images.files.formats import DATA_SUFFIXES
from toolbox.images.files.picture import read_pixels
from toolbox.imresize import imresize
from toolbox.pixels import to_bytes
from toolbox.records import ProtocolInfo

QUALITY = 40  # default JPEG quality, for protocols that compress


@dataclass(frozen=True)
class Case:
    """One picture to score, with the input to restore it from."""

    original: Path
    low: Path | None  # its degraded partner, if it exists; None: the protocol makes the input
    scale: float | None  # output over input size; None: the scale of the pair

    def sha256(self) -> str:
        """The SHA-256 of the files, which shows later that a score belongs to these pictures."""
        files = [path for path in (self.original, self.low) if path is not None and path.exists()]
        return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


@dataclass(frozen=True)
class Sample:
    """A case with its pictures (1, C, H, W) in [0, 1]; noise may move the input beyond that range."""

    original: Tensor
    degraded: Tensor
    scale: float
    notes: tuple[str, ...]  # facts that a reader of the score should know
    conditions: Mapping[str, float] = field(default_factory=dict)  # conditions for networks that need some


def find_cases(
    folder: Path, protocol: ProtocolInfo, low: str | None = None, scales: Sequence[float] = ()
) -> list[Case]:
    """Find the pictures of a folder, by name, once for each scale.

    Args:
        folder: the originals.
        protocol: says whether the input is noisy or of low resolution.
        low: a folder with the low-resolution pictures, or the ending of their names (``_LR``, ``x2``), while
            the originals end in ``_HR`` or have no ending; by default ``_LR``, unless scales are given.
        scales: scales to reduce the originals by; with ``low``, the scales that its pictures may have.

    Raises:
        ImageError: there is no picture, or no pair where pairs are needed.
        SpecError: the protocol makes its input in another way.
    """
    if not folder.is_dir():
        raise ImageError(f"{folder} is not a folder, expected one with pictures")
    pictures = _pictures(folder)
    if not pictures:
        raise ImageError(f"{folder}: nothing to score, expected pictures ({', '.join(DATA_SUFFIXES)})")
    if protocol.same_size_pairs:
        return _real_pairs(folder, pictures, protocol, low, scales)
    if not protocol.enlarges:
        if low is not None or scales:
            does = "compresses the originals" if protocol.compresses else "adds noise to the originals"
            raise SpecError(f"got low resolution or scales, but {protocol.name} {does}; leave them out")
        return [Case(path, None, 1.0) for path in pictures]
    if low is None and scales:
        originals = [path for path in pictures if not path.stem.endswith("_LR")]
        return [Case(path, None, scale) for scale in scales for path in originals]
    if len(scales) > 1:
        raise SpecError("got low resolution and several scales, expected one, the scale of the pairs")
    pairs = _pairs_of_folders(pictures, Path(low)) if low and Path(low).is_dir() else _pairs_of_names(pictures, low)
    if not pairs:
        expected = (
            f"*{low} beside *" if low else "pairs named *_HR and *_LR, or scales (--scale) to reduce the originals by"
        )
        raise ImageError(f"{folder}: nothing to score, {protocol.name} expected {expected}")
    return [Case(path, partner, scales[0] if scales else None) for path, partner in pairs]


def read_sample(case: Case, protocol: ProtocolInfo, sigma: float, quality: int = QUALITY) -> Sample:
    """Read the pictures of a case, or make its input from the original.

    Args:
        case: the pictures.
        protocol: defines the input.
        sigma: noise level of 255, if the protocol adds noise.
        quality: JPEG quality, if the protocol compresses.

    Raises:
        ImageError: a picture is missing, cannot be read, is too small, or does not match its pair.
    """
    sample = replace(_read_sample(case, protocol), conditions=protocol.tells(sigma, quality))
    if protocol.compresses:
        return replace(sample, degraded=compressed(sample.original[0], quality)[None])
    if protocol.noise_seed is None:
        return sample
    generator = torch.Generator().manual_seed(protocol.noise_seed)
    return replace(sample, degraded=add_noise(sample.degraded, sigma, generator))


def _read_sample(case: Case, protocol: ProtocolInfo) -> Sample:
    """The sample before noise is added."""
    original, notes = _read(case.original, protocol)
    if protocol.same_size_pairs and case.low is not None:
        degraded, _ = _read(case.low, protocol)
        if degraded.shape != original.shape:
            raise ImageError(
                f"got a pair of {_size(original)} and {_size(degraded)} pixels, expected pictures of the same size"
            )
        return Sample(original, degraded, 1.0, notes)
    if not protocol.enlarges:
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
        raise ImageError(f"got a pair of scale {scale:g}, expected {case.scale:g}")
    if scale == round(scale):  # as in published code, without the pixels that the low resolution does not cover
        original = original[..., : degraded.shape[-2] * round(scale), : degraded.shape[-1] * round(scale)]
    return Sample(original, degraded, scale, notes)


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in DATA_SUFFIXES)


def _real_pairs(
    folder: Path, pictures: list[Path], protocol: ProtocolInfo, low: str | None, scales: Sequence[float]
) -> list[Case]:
    """Pair originals named *_clean with the pictures to restore, which may lie in another folder by the same names."""
    if scales:
        raise SpecError(f"got scales, but {protocol.name} has pairs of the same size; leave them out")
    if low is not None:
        others = {path.stem: path for path in _pictures(Path(low))} if Path(low).is_dir() else {}
        pairs = [(path, others[path.stem]) for path in pictures if path.stem in others]
    else:
        others = {path.stem: path for path in pictures}
        names = [(path, path.stem.removesuffix("_clean")) for path in pictures if path.stem.endswith("_clean")]
        pairs = [(path, others[name]) for path, name in names if name in others]
    if not pairs:
        raise ImageError(
            f"{folder}: nothing to score, {protocol.name} expected pairs named * and *_clean, or a folder (--lr) of "
            "the pictures to restore"
        )
    return [Case(path, partner, 1.0) for path, partner in pairs]


def _pairs_of_folders(originals: list[Path], folder: Path) -> list[tuple[Path, Path]]:
    """Partners with the same name, apart from an ending such as _HR, _LR or x2."""
    reduced = {re.sub(r"(_LR|x\d+(\.\d+)?)$", "", path.stem): path for path in _pictures(folder)}
    return [(path, reduced.get(path.stem.removesuffix("_HR"), folder / path.name)) for path in originals]


def _pairs_of_names(pictures: list[Path], suffix: str | None) -> list[tuple[Path, Path]]:
    """Partners in the same folder; without a suffix, only names ending in _HR have one."""
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
    """A picture in the protocol's color at the depth of its file, with notes about conversions."""
    pixels = read_pixels(path)
    if protocol.color == "all":
        return to_tensor(pixels), ()
    is_gray = pixels.ndim == 2 or pixels.shape[2] < 3
    image = to_tensor(with_channels(pixels, 1 if protocol.color == "gray" else 3))
    if is_gray and protocol.color != "gray":
        return image, ("a gray picture, scored as equal channels of color",)
    return image, ("a color picture, scored as gray",) if protocol.color == "gray" and not is_gray else ()


def _size(image: Tensor) -> str:
    return f"{image.shape[-1]}x{image.shape[-2]}"


def scale_of_pair(size: tuple[int, int], low: tuple[int, int]) -> float:
    """The integer scale that explains both sides, rounded up or down, or else the ratio of the sides.

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
