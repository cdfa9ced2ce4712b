"""Tar archives in the format of WebDataset: many pictures in few files, read one by one at any place."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field

from toolbox.config import Config
from toolbox.errors import ImageError
from toolbox.images.files.picture import read_pixels
from toolbox.learning import Example
from toolbox.records import DatasetInfo

CONDITIONS = "json"  # the field with the conditions of an example, a mapping of names to numbers


class ShardsConfig(Config):
    """Settings of WebDataset archives."""

    shards: Path = Field(description="a .tar file, or a folder with such files")
    clean: str = Field(default="clean", description="field of the clean pictures, as in 000001.clean.png")
    degraded: str | None = Field(
        default="degraded", description="field of their partners; null if the recipe's degradations make them"
    )


@dataclass(frozen=True)
class Member:
    """Where a file of an archive is."""

    shard: Path
    name: str
    start: int  # bytes
    size: int

    def read(self) -> bytes:
        with self.shard.open("rb") as file:
            file.seek(self.start)
            return file.read(self.size)

    def __str__(self) -> str:
        return f"{self.shard}: {self.name}"


class Shards(Sequence[Example]):
    """Examples of archives, each a group of files with the same name up to the first dot."""

    def __init__(self, groups: Sequence[Mapping[str, Member]]) -> None:
        """Each group maps ``clean``, and maybe ``degraded`` and ``conditions``, to a file."""
        self.groups = groups

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, number: int) -> Example:  # type: ignore[override]  # nobody asks for slices
        group = self.groups[number]
        degraded = _pixels(group["degraded"]) if "degraded" in group else None
        conditions = _numbers(group["conditions"]) if "conditions" in group else {}
        return Example(_pixels(group["clean"]), degraded, conditions, str(group["clean"]))

    @cached_property
    def digest(self) -> str:
        """Of the names and sizes of all files; what they hold is not read."""
        files = [[each.shard.name, each.name, each.size] for group in self.groups for each in group.values()]
        return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def open_shards(config: ShardsConfig) -> Shards:
    """The examples of all archives, in the order of their names; only the headers are read.

    Raises:
        ImageError: there is no archive, one cannot be read or is compressed, or a picture has no partner.
    """
    path = config.shards
    shards = sorted(path.glob("*.tar")) if path.is_dir() else [path]
    if not shards:
        raise ImageError(f"{path}: no archive found, expected files such as 000.tar")
    groups = [group for shard in shards for group in _groups(shard, config)]
    if not groups:
        raise ImageError(f"{path}: no picture found, expected names such as 000001.{config.clean}.png")
    return Shards(groups)


def _groups(shard: Path, config: ShardsConfig) -> list[dict[str, Member]]:
    fields = {config.clean: "clean", config.degraded: "degraded", CONDITIONS: "conditions"}
    found: dict[str, dict[str, Member]] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for entry in archive:
                folder, _, name = entry.name.rpartition("/")
                key, _, field = name.partition(".")
                part = fields.get(field) or fields.get(field.rpartition(".")[0])
                if entry.isfile() and part is not None:
                    member = Member(shard, entry.name, entry.offset_data, entry.size)
                    found.setdefault(f"{folder}/{key}", {})[part] = member
    except OSError as error:
        raise ImageError(f"{shard}: cannot be read: {error.strerror}") from None
    except tarfile.TarError as error:
        raise ImageError(f"{shard}: cannot be read as a tar archive, which must not be compressed: {error}") from None
    groups = [group for group in found.values() if "clean" in group]
    for group in groups:
        if config.degraded is not None and "degraded" not in group:
            raise ImageError(
                f"{group['clean']}: has no partner, expected a file of the field {config.degraded!r}; set degraded: "
                "null if the degradations of the recipe make it"
            )
    return groups


def _pixels(member: Member) -> Any:
    return read_pixels(io.BytesIO(member.read()), str(member))


def _numbers(member: Member) -> dict[str, float]:
    try:
        return {str(name): float(value) for name, value in json.loads(member.read()).items()}
    except (ValueError, TypeError, AttributeError):
        raise ImageError(f"{member}: expected a JSON mapping of conditions to numbers") from None


WEBDATASET = DatasetInfo(
    name="webdataset",
    open=open_shards,
    config=ShardsConfig,
    summary="pictures and pairs in tar archives, in the format of WebDataset",
    source="the format of the Python package webdataset; a random order needs no shuffling, as tar files can be sought",
)
