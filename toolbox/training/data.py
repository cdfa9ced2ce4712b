"""Training pictures: decoded once into a file, cut into batches that depend on the seed and their number alone."""

from __future__ import annotations

import functools
import hashlib
import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from toolbox.degradations.drawing import drawn
from toolbox.errors import ImageError, TrainingError
from toolbox.files import written_beside
from toolbox.images.arrays import image_in_8_bits
from toolbox.images.files.formats import DATA_SUFFIXES
from toolbox.images.files.picture import read_picture
from toolbox.training.recipe import Degradation, Recipe


class DataWarning(UserWarning):
    """Pictures that are left out of the training."""


@dataclass(frozen=True)
class Pictures:
    """Decoded pictures, one after the other in one file that is mapped into memory.

    Processes and workers share it, and it may be larger than the memory.
    """

    cache: Path
    names: list[str]
    shapes: list[tuple[int, int, int]]  # (H, W, C)
    digest: str  # of all pixels: says whether a run is resumed on the same pictures
    left_out: int  # pictures that cannot be used

    def __len__(self) -> int:
        return len(self.names)

    def crop(self, number: int, top: int, left: int, side: int) -> Tensor:
        """A square of a picture, uint8 (C, side, side)."""
        start = self._starts[number]
        height, width, channels = self.shapes[number]
        picture = self._pixels[start : start + height * width * channels].reshape(height, width, channels)
        return torch.from_numpy(picture[top : top + side, left : left + side].copy()).permute(2, 0, 1)

    def remove(self) -> None:
        """Remove the file and the one with the names."""
        self.cache.unlink(missing_ok=True)
        self.cache.with_suffix(".json").unlink(missing_ok=True)

    @functools.cached_property
    def _starts(self) -> list[int]:
        return [0, *np.cumsum([height * width * channels for height, width, channels in self.shapes]).tolist()]

    @functools.cached_property
    def _pixels(self) -> np.ndarray[Any, Any]:
        return np.memmap(self.cache, np.uint8, "r")

    def __getstate__(self) -> dict[str, Any]:
        # A worker maps the file itself; a pickled map would be a copy of all pictures.
        return {key: value for key, value in vars(self).items() if key != "_pixels"}


def open_pictures(folders: Sequence[Path], channels: int, side: int, cache: Path) -> Pictures:
    """The pictures of all folders below these, in the order of their paths.

    They are decoded into ``cache``, unless it has them already: a file of pixels, and one of names
    beside it. One channel is luma; a gray picture has equal colors. Pictures that cannot be read or are
    smaller than a patch are left out, with a warning that names them.

    Raises:
        ImageError: a folder is missing, or there is no picture of at least ``side`` × ``side``.
        OSError: the cache cannot be written.
    """
    files = list(_picture_files(folders))
    index_file = cache.with_suffix(".json")
    key = [channels, side, [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]]
    try:
        index = json.loads(index_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        index = {}
    if index.get("key") != key or not cache.exists():
        index_file.unlink(missing_ok=True)  # it must never be beside the pixels of other pictures
        index = {"key": key, **_decode(files, channels, side, cache)}
        with written_beside(index_file) as partial:
            partial.write_text(json.dumps(index), encoding="utf-8")
    if index["left_out"]:
        listed = "; ".join(index["left_out"][:5]) + ("; and more" if len(index["left_out"]) > 5 else "")
        warnings.warn(
            f"left out {len(index['left_out'])} of {len(files)} pictures: {listed}", DataWarning, stacklevel=2
        )
    if not index["names"]:
        where = ", ".join(map(str, folders))
        raise ImageError(f"{where}: no picture can be used, expected some of at least {side}x{side}, a patch's size")
    shapes = [(height, width, channels) for height, width, channels in index["shapes"]]
    return Pictures(cache, index["names"], shapes, index["digest"], len(index["left_out"]))


def _picture_files(folders: Iterable[Path]) -> Iterable[Path]:
    for folder in folders:
        if not folder.is_dir():
            raise ImageError(f"{folder}: is no folder, expected one with training pictures")
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in DATA_SUFFIXES and path.is_file())
        if not files:
            raise ImageError(f"{folder}: no picture found, expected some with suffixes such as .png or .jpg")
        yield from files


def _decode(files: Sequence[Path], channels: int, side: int, cache: Path) -> dict[str, Any]:
    """Write the pixels of the files and say what is in there."""
    names, shapes, left_out, digest = [], [], [], hashlib.sha256()
    with written_beside(cache) as partial, partial.open("wb") as out:
        for file in files:
            try:
                picture = image_in_8_bits(read_picture(file)).convert("L" if channels == 1 else "RGB")
            except ImageError as error:
                left_out.append(str(error))
                continue
            if min(picture.size) < side:
                left_out.append(f"{file}: {picture.width}x{picture.height} is smaller than a patch of {side}x{side}")
                continue
            pixels = np.asarray(picture).tobytes()
            out.write(pixels)
            shape = (picture.height, picture.width, channels)
            digest.update(repr(shape).encode() + pixels)
            names.append(str(file))
            shapes.append(shape)
    return {"names": names, "shapes": shapes, "left_out": left_out, "digest": digest.hexdigest()[:16]}


class Batch(NamedTuple):
    """Patches and what they were cut from."""

    degraded: Tensor  # (B, C, patch, patch) in [0, 1]
    clean: Tensor  # (B, C, side, side), the side being patch · scale
    points: Tensor | None  # (B, N): numbers of the clean patch's pixels, row by row, that are computed
    files: list[str]


class Batches(Dataset[Batch]):
    """Batch number n of a run, for one of its processes.

    Sample i of the batch depends on the seed, n and i alone, where i counts through all processes: so
    the data are the same with any number of workers, and two processes see what one sees with the
    doubled batch.
    """

    def __init__(self, recipe: Recipe, pictures: Pictures, process: int = 0) -> None:
        self.recipe, self.pictures, self.process = recipe, pictures, process

    def __getitem__(self, number: int) -> Batch:
        recipe = self.recipe
        scale = self.scale(number)
        first = self.process * recipe.batch
        samples = [self._sample(scale, generator_of(recipe.seed, number, first + i)) for i in range(recipe.batch)]
        degraded, clean, points, files = zip(*samples, strict=True)
        return Batch(
            torch.stack(degraded),
            torch.stack(clean),
            torch.stack(points) if recipe.points else None,
            [self.pictures.names[file] for file in files],
        )

    def check(self) -> None:
        """Make one sample of the largest scale, so that what is wrong is told before a run starts."""
        self._sample(self.recipe.scale.largest, generator_of(self.recipe.seed))

    def scale(self, number: int) -> float:
        """The scale of batch ``number``, the same for all processes."""
        if self.recipe.scale.each is not None:
            return self.recipe.scale.each[number % len(self.recipe.scale.each)]
        return drawn(self.recipe.scale.between or (), generator_of(self.recipe.seed, number))

    def _sample(self, scale: float, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, int]:
        """A degraded and a clean patch, the points to compute, and the number of the picture."""
        side = round(self.recipe.patch * scale)
        picture = _draw(len(self.pictures), generator)
        height, width, _ = self.pictures.shapes[picture]
        top, left = _draw(height - side + 1, generator), _draw(width - side + 1, generator)
        crop = torch.rot90(self.pictures.crop(picture, top, left, side), _draw(4, generator), (1, 2))
        clean = (crop.flip(2) if _draw(2, generator) else crop).float() / 255
        degraded = degrade(self.recipe.degradation, clean, scale, generator)
        points = torch.randperm(side**2, generator=generator)[: self.recipe.points] if self.recipe.points else degraded
        return degraded, clean, points, picture


def degrade(chain: Sequence[Degradation], clean: Tensor, scale: float, generator: torch.Generator) -> Tensor:
    """A clean picture (C, H, W) in [0, 1] → the same, degraded by each in turn and smaller by the scale.

    Raises:
        TrainingError: the result has another size.
    """
    degraded = clean
    for degradation in chain:
        degraded = degradation.info.degrade(degradation.config, degraded, scale, generator)
    channels, height, width = clean.shape
    expected = (channels, round(height / scale), round(width / scale))
    if degraded.shape != expected:
        names = ", ".join(each.info.name for each in chain)
        raise TrainingError(
            f"degradation {names} made {tuple(degraded.shape)} of {tuple(clean.shape)}, expected {expected} at scale "
            f"{scale:g}; a scale other than 1 needs a degradation that reduces, such as bicubic"
        )
    return degraded


def generator_of(*numbers: int) -> torch.Generator:
    """A generator that depends on these numbers alone."""
    (seed,) = np.random.SeedSequence(numbers[0], spawn_key=numbers[1:]).generate_state(1)
    return torch.Generator().manual_seed(int(seed))


def _draw(stop: int, generator: torch.Generator) -> int:
    return int(torch.randint(stop, (), generator=generator))
