"""What a run tells: the CSV, what trackers get, and the line of progress."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from toolbox.training.checkpoint import RunProgress
from toolbox.training.log import COLUMNS, Log, duration
from toolbox.training.settings import Budget


def write(folder: Path, first: int, last: int, steps: int = 40, trackers: Sequence[Any] = ()) -> None:
    """Log the steps after ``first`` up to ``last``."""
    progress = RunProgress(step=first, seconds=first, loss=0.5, squared_error=0.01)
    with Log(folder, "net", Budget(steps=steps), progress, trackers, silent=False) as log:
        for _ in range(first, last):
            progress.add(1.0, 0.25, 0.01)
            log.step(progress, 0.5, 1e-3, progress.step / steps)
        progress.validation = 31.25
        log.validation(progress, 1e-3, Image.new("RGB", (8, 6)))


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_every_ten_steps_and_at_each_score(tmp_path: Path) -> None:
    write(tmp_path, 0, 25)
    found = rows(tmp_path)
    assert tuple(found[0]) == COLUMNS
    assert [row["step"] for row in found] == ["10", "20", "25"]
    assert float(found[0]["loss"]) == pytest.approx(0.25)
    assert float(found[0]["psnr"]) == pytest.approx(20)
    assert float(found[0]["steps_per_second"]) == pytest.approx(2)
    assert [row["validation"] for row in found] == ["", "", "31.25"]


def test_rows_after_the_checkpoint_are_written_again_and_not_twice(tmp_path: Path) -> None:
    write(tmp_path, 0, 30)
    with (tmp_path / "log.csv").open("a", encoding="utf-8") as file:
        file.write("30,1.0,0.0")  # cut off by a crash
    write(tmp_path, 20, 40)
    assert [row["step"] for row in rows(tmp_path)] == ["10", "20", "30", "40", "40"]


def test_a_new_run_begins_a_new_log(tmp_path: Path) -> None:
    write(tmp_path, 0, 30)
    write(tmp_path, 0, 10)
    assert [row["step"] for row in rows(tmp_path)] == ["10", "10"]


class Recorder:
    """A tracker that remembers what it is given."""

    name = "recorder"

    def __init__(self) -> None:
        self.scalars: list[tuple[int, dict[str, float]]] = []
        self.pictures: list[tuple[int, str, tuple[int, ...]]] = []

    def log(self, values: dict[str, float], step: int) -> None:
        self.scalars.append((step, values))

    def log_images(self, values: dict[str, Any], step: int) -> None:
        self.pictures += [(step, name, pictures.shape) for name, pictures in values.items()]


def test_trackers_get_every_row_and_the_pictures(tmp_path: Path) -> None:
    recorder = Recorder()
    write(tmp_path, 0, 25, trackers=[recorder])
    assert [step for step, _ in recorder.scalars] == [10, 20, 25]
    for row, (_, values) in zip(rows(tmp_path), recorder.scalars, strict=True):
        shown = {key: float(text) for key, text in row.items() if key not in ("step", "minutes") and text}
        assert values == pytest.approx(shown)
    assert recorder.pictures == [(25, "validation", (1, 6, 8, 3))]


def test_the_line_at_the_end_has_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, 0, 40)
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line == "net: step 40/40, loss 0.25, PSNR 20.00 dB, 2.00 steps/s, 0:00 min left"


def test_a_silent_log_writes_nothing(tmp_path: Path) -> None:
    progress = RunProgress()
    with Log(tmp_path, "net", Budget(minutes=1), progress, silent=True) as log:
        progress.add(1, 1, 1)
        log.step(progress, 1, 1, 1)
        log.validation(progress, 1, Image.new("RGB", (4, 4)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00 min"), (65, "1:05 min"), (3599.6, "1:00 h"), (7500, "2:05 h"), (-3, "0:00 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
