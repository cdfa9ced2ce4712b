"""The log of a run: a line of progress, log.csv, and scalars and pictures for trackers."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from PIL import Image

from toolbox.progress import progress_bar
from toolbox.training.checkpoint import RunProgress
from toolbox.training.settings import Budget
from toolbox.training.trackers import log_picture

COLUMNS = ("step", "minutes", "learning_rate", "loss", "psnr", "steps_per_second", "validation")
ROW_EVERY = 10  # steps
LINE_EVERY = 60.0  # seconds between lines without a terminal


class Log:
    """The log of one run. Of several processes, all but one are silent.

    Args:
        folder: of the run; gets ``log.csv``.
        name: the start of the progress line.
        budget: when the run ends.
        progress: the start of the run. Later rows, from before an interruption, are removed.
        trackers: started trackers of accelerate. They get every row of ``log.csv``, and the pictures.
        silent: print and write nothing.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        budget: Budget,
        progress: RunProgress,
        trackers: Sequence[Any] = (),
        *,
        silent: bool,
    ) -> None:
        self.folder, self.name, self.budget, self.silent = folder, name, budget, silent
        self.trackers = trackers
        self.first_step = progress.step
        self.step_seconds = math.nan  # running average
        self.printed = time.monotonic()
        self.open = ExitStack()

    def __enter__(self) -> Self:
        if self.silent:
            return self
        path = self.folder / "log.csv"
        rows = _rows_until(path, self.first_step)
        self.file = self.open.enter_context(path.open("w", newline="", encoding="utf-8"))
        self.csv = csv.DictWriter(self.file, COLUMNS)
        self.csv.writeheader()
        self.csv.writerows(rows)
        self.bar = self.open.enter_context(progress_bar(time_left=False))
        self.console = self.bar.console
        self.task = self.bar.add_task(self.name, total=1.0)
        return self

    def __exit__(self, *exception: object) -> None:
        self.open.close()

    def step(self, progress: RunProgress, seconds: float, rate: float, fraction: float) -> None:
        """Record a step, its seconds and learning rate, and the fraction of the budget that is used."""
        if self.silent:
            return
        self.step_seconds = seconds if math.isnan(self.step_seconds) else 0.95 * self.step_seconds + 0.05 * seconds
        line = self._line(progress)
        self.bar.update(self.task, completed=fraction, description=line)
        if progress.step % ROW_EVERY == 0 or fraction >= 1:
            self._write(progress, rate)
        if not self.console.is_terminal and (time.monotonic() - self.printed > LINE_EVERY or fraction >= 1):
            self.printed = time.monotonic()
            self.console.print(line, soft_wrap=True, highlight=False, markup=False)

    def validation(self, progress: RunProgress, rate: float, picture: Image.Image) -> None:
        """Record a score, and a picture of the network's current result."""
        if self.silent:
            return
        self._write(progress, rate, validation=progress.validation)
        for tracker in self.trackers:
            log_picture(tracker, "validation", picture, progress.step)

    def _write(self, progress: RunProgress, rate: float, **more: float | None) -> None:
        row: Mapping[str, float | None] = {
            "step": progress.step,
            "minutes": round(progress.seconds / 60, 3),
            "learning_rate": rate,
            "loss": progress.loss,
            "psnr": progress.psnr,
            "steps_per_second": round(1 / max(self.step_seconds, 1e-9), 3),
            **more,
        }
        self.csv.writerow(row)
        self.file.flush()
        scalars = {key: value for key, value in row.items() if key not in ("step", "minutes") and value is not None}
        for tracker in self.trackers:
            tracker.log(scalars, progress.step)

    def _line(self, progress: RunProgress) -> str:
        if self.budget.steps is not None:
            done, left = f"step {progress.step}/{self.budget.steps}", self.budget.steps - progress.step
            seconds_left = left * self.step_seconds
        else:
            minutes = self.budget.minutes or 0.0
            done = f"step {progress.step}, {progress.seconds / 60:.1f} of {minutes:g} min"
            seconds_left = 60 * minutes - progress.seconds
        score = "" if progress.validation is None else f", validation {progress.validation:.2f} dB"
        return (
            f"{self.name}: {done}, loss {progress.loss:.3g}, PSNR {progress.psnr:.2f} dB{score}, "
            f"{1 / max(self.step_seconds, 1e-9):.2f} steps/s, {duration(seconds_left)} left"
        )


def duration(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds: 1:05 h, 4:20 min."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02} h" if hours else f"{minutes}:{whole % 60:02} min"


def _rows_until(path: Path, step: int) -> list[dict[str, str]]:
    """The complete rows of a log, up to a step."""
    if step == 0 or not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if None not in row.values()]  # the last row may be cut off
    return [row for row in rows if row["step"].isdigit() and int(row["step"]) <= step]
