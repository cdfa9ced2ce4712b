"""Training pictures: files are decoded once into one file, other datasets are read when a picture is drawn."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from toolbox.blame import blamed, broken
from toolbox.choice import Choice
from toolbox.datasets.folders import PictureFiles
from toolbox.errors import ImageError
from toolbox.evaluation.cases import scale_of_pair
from toolbox.files import written_beside
from toolbox.images.arrays import check_array, with_channels
from toolbox.learning import Example
from toolbox.pixels import Array


class DataWarning(UserWarning):
    """Pictures are left out of the training."""


@dataclass(frozen=True)
class Pair:
    """A clean picture in the form for a network, and its degraded partner if it has one."""

    clean: Array  # (H, W, C), uint8, uint16 or float32
    degraded: Array | None = None  # (h, w, C)
    conditions: Mapping[str, float | Array] = field(default_factory=dict)  # maps are (h, w)
    name: str = ""

    @functools.cached_property
    def scale(self) -> float | None:
        """The scale of the pair; None without a partner.

        Raises:
            ImageError: the two are no pair.
        """
        if self.degraded is None:
            return None
        height, width = self.clean.shape[:2]
        return scale_of_pair((height, width), (self.degraded.shape[0], self.degraded.shape[1]))

    def refusal(self, patch: int, scale: float | None = None) -> str:
        """The reason why no patch can be cut out, at one scale or at its own; empty if one can."""
        own = self.scale
        if own is None:
            side, (height, width) = round(patch * (scale or 1)), self.clean.shape[:2]
        elif scale is not None and abs(own - scale) > 0.01:
            return f"a pair of scale {own:g}, not {scale:g}"
        else:
            side, (height, width) = patch, covered(self)
        if min(height, width) < side:
            return f"{width}x{height} is smaller than a patch of {side}x{side}"
        return ""


def covered(pair: Pair) -> tuple[int, int]:
    """The (height, width) of the part of the degraded picture that the clean one covers."""
    if pair.degraded is None or pair.scale is None:
        return pair.clean.shape[0], pair.clean.shape[1]
    sides = zip(pair.degraded.shape[:2], pair.clean.shape[:2], strict=True)
    height, width = (min(low, int(high / pair.scale + 1e-9)) for low, high in sides)
    return height, width


def step_of(scale: float) -> int:
    """The step in degraded pixels that is a whole number of clean pixels."""
    return Fraction(scale).limit_denominator(100).denominator


class OpenDatasets:
    """The examples of all datasets of a recipe, one after the other, for a network with so many channels."""

    def __init__(self, choices: Sequence[Choice], channels: int) -> None:
        """Open the datasets.

        Raises:
            ImageError: one has no picture.
            PluginError: one cannot be opened.
        """
        self.choices, self.channels = choices, channels
        self.parts, lengths = [], []
        for choice in choices:
            with blamed(f"dataset {choice.info.name!r}", choice.info.provider):
                self.parts.append(choice.info.open(choice.config))
                lengths.append(len(self.parts[-1]))
        self.ends = list(itertools.accumulate(lengths))
        if not self.ends[-1]:
            raise ImageError(f"{', '.join(choice.info.name for choice in choices)}: no picture in it, expected some")

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, number: int) -> Pair:
        part = bisect_right(self.ends, number)
        choice, own = self.choices[part], number - (self.ends[part - 1] if part else 0)
        what = f"dataset {choice.info.name!r}"
        with blamed(what, choice.info.provider):
            example = self.parts[part][own]
        if not isinstance(example, Example):
            raise broken(what, choice.info.provider, f"a {type(example).__name__}", "an Example")
        return prepared(example, self.channels, f"{choice.info.name} {own}")

    @property
    def of_files(self) -> bool:
        """Whether all datasets are files, which can be decoded in advance."""
        return all(isinstance(part, PictureFiles) for part in self.parts)

    @functools.cached_property
    def digest(self) -> str:
        """A digest of the examples: of the contents of files, or of the settings and length of a dataset."""
        parts = []
        for choice, part in zip(self.choices, self.parts, strict=True):
            what = f"dataset {choice.info.name!r}"
            with blamed(what, choice.info.provider):
                own = getattr(part, "digest", None)
            if not isinstance(own, str | None):
                raise broken(what, choice.info.provider, f"the digest {own!r}", "text")
            parts.append([own or [choice.info.name, len(part), str(choice.config)], choice.info.name])
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def prepared(example: Example, channels: int, name: str) -> Pair:
    """An example with arrays of so many channels.

    Raises:
        ImageError: its pixels are no picture, or of another number of channels, or it is no pair.
    """
    name = example.name or name

    def array(pixels: Any) -> Array:
        if isinstance(pixels, Tensor):
            pixels = (pixels if pixels.ndim == 2 else pixels.permute(1, 2, 0)).cpu().numpy()
        check_array(pixels)
        if np.issubdtype(pixels.dtype, np.floating):
            pixels = pixels.astype(np.float32)
        return with_channels(pixels, channels)

    try:
        degraded = None if example.degraded is None else array(example.degraded)
        clean = array(example.clean)
        shape = (clean if degraded is None else degraded).shape[:2]
        conditions = {key: _condition(key, value, shape) for key, value in _items(example.conditions)}
        pair = Pair(clean, degraded, conditions, name)
        _ = pair.scale
    except ImageError as error:
        raise ImageError(f"{name}: {error}" if name not in str(error) else str(error)) from None
    return pair


def _items(conditions: Any) -> Iterable[tuple[str, Any]]:
    if not isinstance(conditions, Mapping):
        raise ImageError(f"got the conditions {conditions!r}, expected a mapping of names to numbers or maps")
    return conditions.items()


def _condition(name: str, value: Any, shape: tuple[int, ...]) -> float | Array:
    """A condition as a number, or as a map (h, w) of that shape.

    Raises:
        ImageError: it is neither.
    """
    try:
        array = np.asarray(value, np.float32)
    except (TypeError, ValueError):
        raise ImageError(f"got {name} {value!r}, expected a number or a map") from None
    if not np.isfinite(array).all():
        raise ImageError(f"got {name} {value!r}, expected finite numbers")
    if array.ndim == 0:
        return float(value)
    if array.shape[-2:] != shape or array.size != math.prod(shape):
        raise ImageError(f"got {name} of shape {array.shape}, expected a number or a map of shape {shape}")
    return array.reshape(shape)


class LazyPictures:
    """Pictures that are read when drawn."""

    left_out = 0

    def __init__(self, examples: OpenDatasets) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, number: int) -> Pair:
        return self.examples[number]

    def candidates(self, scale: float) -> Sequence[int]:
        """The numbers of the pictures that may have that scale."""
        return range(len(self))

    def facts(self) -> dict[str, Any]:
        """What a dry run tells."""
        return {"megapixels": None, "disk": 0}

    def remove(self) -> None:
        """Do nothing, since there are no files."""


@dataclass(frozen=True)
class Block:
    """The place of one picture's pixels in the file."""

    start: int  # bytes
    shape: tuple[int, int, int]  # (H, W, C)
    dtype: str

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


class KeptPictures:
    """Decoded pictures, one after the other, in one file that is mapped into memory.

    Processes and workers share the file, which may be larger than the memory.
    """

    def __init__(self, cache: Path, names: list[str], blocks: list[tuple[Block, Block | None]], left_out: int) -> None:
        self.cache, self.names, self.blocks, self.left_out = cache, names, blocks, left_out

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, number: int) -> Pair:
        clean, degraded = (None if block is None else self._mapped(block) for block in self.blocks[number])
        assert clean is not None  # noqa: S101  # only the second may be missing
        return Pair(clean, degraded, {}, self.names[number])

    @functools.cached_property
    def _bytes(self) -> Array:
        return np.memmap(self.cache, np.uint8, "r")

    def _mapped(self, block: Block) -> Array:
        return self._bytes[block.start : block.start + block.bytes].view(block.dtype).reshape(block.shape)

    def __getstate__(self) -> dict[str, Any]:
        # A worker maps the file itself; a pickled map would be a copy of all pictures.
        return {key: value for key, value in vars(self).items() if key != "_bytes"}

    @functools.cached_property
    def _of_scale(self) -> dict[float | None, list[int]]:
        found: dict[float | None, list[int]] = {}
        for number in range(len(self)):
            found.setdefault(self[number].scale, []).append(number)
        return found

    def candidates(self, scale: float) -> Sequence[int]:
        """The numbers of the pictures with that scale or with any.

        Raises:
            ImageError: there is none.
        """
        fitting = [of for own, of in self._of_scale.items() if own is None or abs(own - scale) < 0.01]
        if not fitting:
            others = ", ".join(f"{own:g}" for own in sorted(own for own in self._of_scale if own is not None))
            raise ImageError(f"got no pair of scale {scale:g}, expected some: these are of scale {others}")
        return fitting[0] if len(fitting) == 1 else sorted(itertools.chain(*fitting))

    def facts(self) -> dict[str, Any]:
        """What a dry run tells."""
        pixels = sum(clean.shape[0] * clean.shape[1] for clean, _ in self.blocks)
        return {"megapixels": round(pixels / 1e6, 2), "disk": self.cache.stat().st_size}

    def remove(self) -> None:
        """Remove the file and the one with the names."""
        self.cache.unlink(missing_ok=True)
        self.cache.with_suffix(".json").unlink(missing_ok=True)


Pictures = KeptPictures | LazyPictures


def open_pictures(examples: OpenDatasets, patch: int, largest: float, cache: Path) -> Pictures:
    """Open the pictures to cut patches out of.

    Files are decoded into ``cache``, unless it has them already: a file of pixels at their own depth, and one that
    describes it. A warning names pictures that are left out because they cannot be read or are smaller than a patch
    at the largest scale.

    Raises:
        ImageError: no picture is large enough.
        OSError: the cache cannot be written.
    """
    if not examples.of_files:
        return LazyPictures(examples)
    index = cache.with_suffix(".json")
    key = [examples.channels, patch, largest, examples.digest]
    try:
        description = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        description = {}
    if description.get("key") != key or not cache.exists():
        index.unlink(missing_ok=True)  # the description must never lie beside the pixels of other pictures
        description = {"key": key, **_decode(examples, patch, largest, cache)}
        with written_beside(index) as partial:
            partial.write_text(json.dumps(description), encoding="utf-8")
    if left_out := description["left_out"]:
        listed = "; ".join(left_out[:5]) + ("; and more" if len(left_out) > 5 else "")
        warnings.warn(f"left out {len(left_out)} of {len(examples)} pictures: {listed}", DataWarning, stacklevel=2)
    if not description["names"]:
        where = ", ".join(str(value) for choice in examples.choices for _, value in choice.config)
        side = round(patch * largest)
        raise ImageError(f"{where}: no picture can be used, expected some of at least {side}x{side}, a patch's size")
    blocks = [
        tuple(each and Block(each[0], tuple(each[1]), each[2]) for each in both) for both in description["blocks"]
    ]
    return KeptPictures(cache, description["names"], blocks, len(left_out))  # type: ignore[arg-type]  # pairs


def _decode(examples: OpenDatasets, patch: int, largest: float, cache: Path) -> dict[str, Any]:
    """Write the pixels of all examples, and return their description."""
    left_out: list[str] = []
    names, blocks, start = [], [], 0
    with written_beside(cache) as partial, partial.open("wb") as out:
        for pair in _readable(examples, left_out):
            if refusal := pair.refusal(patch, largest if pair.degraded is None else None):
                left_out.append(f"{pair.name}: {refusal}")
                continue
            both: list[Any] = []
            for array in (pair.clean, pair.degraded):
                both.append(None if array is None else [start, array.shape, array.dtype.str])
                if array is not None:
                    out.write(np.ascontiguousarray(array).data)
                    start += array.nbytes
                    start += out.write(b"\0" * (-start % 8))  # arrays of two-byte values must not begin at an odd byte
            names.append(pair.name)
            blocks.append(both)
    return {"names": names, "blocks": blocks, "left_out": left_out}


def _readable(examples: OpenDatasets, left_out: list[str]) -> Iterator[Pair]:
    for number in range(len(examples)):
        try:
            yield examples[number]
        except ImageError as error:
            left_out.append(str(error))
