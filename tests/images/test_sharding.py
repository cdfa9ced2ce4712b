"""Shards: every file is of exactly one, whatever else is there and wherever the folder is."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolbox.errors import SpecError
from toolbox.images.jobs import Source, find_sources
from toolbox.images.sharding import Shard, parse_shard

FILES = [
    Source(Path("scans") / f"sub{number % 7}" / f"{number}.png", Path(f"sub{number % 7}"), True)
    for number in range(4000)
]


def shards(count: int) -> list[Shard]:
    return [Shard(number, count) for number in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, 2, 16])
def test_every_file_is_of_one_shard_and_shards_are_about_equal(count: int) -> None:
    parts = [[file for file in FILES if file in shard] for shard in shards(count)]
    assert sorted((file for part in parts for file in part), key=str) == sorted(FILES, key=str)
    assert all(0.7 < len(part) * count / len(FILES) < 1.3 for part in parts)


def test_a_file_stays_in_its_shard_on_every_machine() -> None:
    """`printf sub/photo.png | sha256sum` begins with 92b8a05a9f2a57c2, and that modulo 16 is 2."""
    for folder in ("scans", "/mnt/node7/scans"):
        assert Source(Path(folder, "sub/photo.png"), Path("sub"), True) in Shard(3, 16)


def test_a_name_that_is_not_utf_8_has_a_shard() -> None:
    source = Source(Path("scans/\udcff.png"), Path(), True)
    assert sum(source in shard for shard in shards(5)) == 1


def test_find_sources_looks_into_no_file_of_another_shard(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.dat").write_bytes(b"no picture")
    parts = [find_sources([str(tmp_path)], False, None, shard.__contains__) for shard in shards(4)]
    assert sum(part.others for part in parts) == 20
    assert [part.sources for part in parts] == [[]] * 4  # which is no error: another shard may have pictures


def test_a_shard_is_parsed() -> None:
    assert parse_shard("3/16") == Shard(3, 16)
    assert str(parse_shard("3/16")) == "3/16"


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "3/", "a/b", "-1/4", "1/0", "1/4/2", "٣/٤"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(
        SpecError, match=rf"^got the shard '{text}', expected NUMBER/COUNT with a number from 1 to COUNT"
    ):
        parse_shard(text)
