"""Pictures in folders: clean ones, or pairs of clean and degraded ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from pydantic import Field

from toolbox.config import Config
from toolbox.errors import ImageError
from toolbox.images.files.formats import DATA_SUFFIXES
from toolbox.images.files.picture import read_pixels
from toolbox.learning import Example
from toolbox.records import DatasetInfo

ENDING = re.compile(r"(_HR|_LR|x\d+(\.\d+)?)$")  # endings of the names of partners, which are otherwise the same


class PicturesConfig(Config):
    """Settings of clean pictures."""

    folder: Path = Field(description="a folder; every picture in and below it is used")


class PairsConfig(Config):
    """Settings of pairs."""

    clean: Path = Field(description="a folder with the clean pictures")
    degraded: Path = Field(description="a folder with their partners, of the same names apart from _HR, _LR or x2")


class PictureFiles(Sequence[Example]):
    """Pictures of files, read on demand."""

    def __init__(self, files: Sequence[tuple[Path, Path | None]]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> Example:  # type: ignore[override]  # nobody asks for slices
        clean, degraded = self.files[number]
        return Example(read_pixels(clean), None if degraded is None else read_pixels(degraded), name=str(clean))

    @cached_property
    def digest(self) -> str:
        """A digest of the contents of the files, wherever they are."""
        digest = hashlib.sha256()
        for path in (path for pair in self.files for path in pair):
            if path is not None:
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


def open_pictures(config: PicturesConfig) -> PictureFiles:
    """Open the pictures in and below a folder, in the order of their paths.

    Raises:
        ImageError: there is no folder, or no picture in it.
    """
    return PictureFiles([(path, None) for path in _files_below(config.folder)])


def open_pairs(config: PairsConfig) -> PictureFiles:
    """Open the pairs in and below two folders, in the order of the clean pictures' paths.

    Raises:
        ImageError: there is no folder, no picture in it, or a clean picture has no partner.
    """
    partners = {_place(path, config.degraded): path for path in _files_below(config.degraded)}
    found = []
    for path in _files_below(config.clean):
        place = _place(path, config.clean)
        if place not in partners:
            raise ImageError(f"{path}: has no partner in {config.degraded}, expected one named {place}")
        found.append((path, partners[place]))
    return PictureFiles(found)


def _files_below(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ImageError(f"{folder}: is not a folder, expected one with training pictures")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in DATA_SUFFIXES and path.is_file())
    if not files:
        raise ImageError(f"{folder}: no picture found, expected some with suffixes such as .png or .jpg")
    return files


def _place(path: Path, folder: Path) -> str:
    """The part of the path that partners share."""
    return str(path.relative_to(folder).with_name(ENDING.sub("", path.stem)))


PICTURES = DatasetInfo(
    name="pictures",
    open=open_pictures,
    config=PicturesConfig,
    summary="clean pictures in and below a folder",
    source="none: files",
)
PAIRS = DatasetInfo(
    name="pairs",
    open=open_pairs,
    config=PairsConfig,
    summary="pairs of clean and degraded pictures in two folders, of any scale",
    source="none: files, as DIV2K, SIDD, GoPro and RealSR are published",
)
