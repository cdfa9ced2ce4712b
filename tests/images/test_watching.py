"""A watched folder: every picture once it is complete, and again when it changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.client import png
from toolbox.errors import SpecError
from toolbox.images.jobs import output_of
from toolbox.images.watching import QUIET, WatchedFolders

pytest.importorskip("watchfiles", reason="the extra [serve] is not installed")
PATIENCE = 30.0  # seconds


class Watch:
    """A watch in its own thread of control: the test asks for what has come."""

    def __init__(self, folder: Path, output: Path, recursive: bool = True) -> None:
        target = output_of(f"{output}/", [str(folder)], None)
        self.stop = threading.Event()
        self._batches = WatchedFolders([str(folder)], recursive, target).batches(self.stop)
        self.found: list[str] = []

    def look(self, seconds: float) -> list[str]:
        """The names that come in that time."""
        end = time.monotonic() + seconds
        came: list[str] = []
        while time.monotonic() < end:
            came += [str(source.path.name) for source in next(self._batches) if source.path is not None]
        return came

    def wait(self, count: int) -> list[str]:
        """So many names, and none more in the time after them."""
        end = time.monotonic() + PATIENCE
        came: list[str] = []
        while len(came) < count and time.monotonic() < end:
            came += [str(source.path.name) for source in next(self._batches) if source.path is not None]
        return came


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    return folder


@pytest.fixture
def watch(scans: Path) -> Iterator[Watch]:
    """A watch of ``scans`` whose results would go into a folder in it."""
    (scans / "first.png").write_bytes(png(8, 8))
    watch = Watch(scans, scans / "out")
    assert watch.wait(1) == ["first.png"]  # what was there before
    yield watch
    watch.stop.set()


def test_new_and_changed_pictures_come_once_each(watch: Watch, scans: Path) -> None:
    (scans / "second.png").write_bytes(png(8, 8))
    assert watch.wait(1) == ["second.png"]
    (scans / "first.png").write_bytes(png(9, 9))
    assert watch.wait(1) == ["first.png"]
    assert watch.look(2 * QUIET) == []


def test_a_picture_that_is_still_written_waits_until_it_is_complete(
    watch: Watch, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolbox.images.watching.QUIET", 4.0)  # a busy machine may take a while between two parts
    data = png(64, 64)
    with (scans / "slow.png").open("wb") as file:
        for part in range(4):
            file.write(data[len(data) * part // 4 : len(data) * (part + 1) // 4])
            file.flush()
            assert watch.look(0.5) == []
    assert watch.wait(1) == ["slow.png"]


def test_results_hidden_files_and_other_files_are_ignored(watch: Watch, scans: Path) -> None:
    for name in ("out/result.png", "out/deep/result.png", ".partial.png", ".hidden/a.png"):
        (scans / name).parent.mkdir(parents=True, exist_ok=True)
        (scans / name).write_bytes(png(8, 8))
    (scans / "notes.txt").write_text("no picture")
    assert watch.look(3 * QUIET) == []


def test_folders_that_come_are_looked_into(watch: Watch, scans: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere" / "deep" / "moved.png").write_bytes(png(8, 8))
    (tmp_path / "elsewhere").rename(scans / "new")
    assert watch.wait(1) == ["moved.png"]
    (scans / "new" / "later.png").write_bytes(png(8, 8))
    assert watch.wait(1) == ["later.png"]


def test_a_picture_that_is_removed_before_it_is_complete_is_forgotten(
    watch: Watch, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolbox.images.watching.QUIET", 4.0)
    (scans / "gone.png").write_bytes(png(8, 8))
    assert watch.look(0.5) == []
    (scans / "gone.png").unlink()
    assert watch.look(5.0) == []


def test_without_recursive_folders_inside_are_ignored(scans: Path, tmp_path: Path) -> None:
    (scans / "sub").mkdir()
    (scans / "sub" / "deep.png").write_bytes(png(8, 8))
    (scans / "flat.png").write_bytes(png(8, 8))
    watch = Watch(scans, tmp_path / "out", recursive=False)
    assert watch.wait(1) == ["flat.png"]
    assert watch.look(2 * QUIET) == []
    watch.stop.set()


@pytest.mark.parametrize(
    ("folder", "output", "sentence"),
    [
        ("none", "out/", r"^got .*none for --watch, expected a folder that exists$"),
        ("scans", "scans/", "^got the watched folder .* as the output, expected another one"),
        ("scans", "{stem}.png", "^got no folder as the output for --watch"),
        ("scans", None, "^got no folder as the output for --watch"),
    ],
)
def test_what_cannot_be_watched_is_refused(
    folder: str, output: str | None, sentence: str, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = None if output is None else output_of(output, [folder], None)
    with pytest.raises(SpecError, match=sentence):
        WatchedFolders([folder], True, target)
