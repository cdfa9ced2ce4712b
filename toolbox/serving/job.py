"""One picture of a client: its files, its state, and who waits for it."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["restore", "inspect"]
State = Literal["waiting", "running", "done", "failed", "stopped"]
ENDED = ("done", "failed", "stopped")
PICTURE, RESULTS, VIEWS = "picture", "results", "views"  # folders in that of a job


@dataclass(eq=False)
class Job:
    """A task for the worker, from the upload until its files are removed."""

    id: str
    kind: Kind
    folder: Path  # its own, with all of its files
    name: str  # of the picture
    options: dict[str, Any] = field(default_factory=dict)
    views: bool = False  # whether a browser is going to show the picture and its result
    state: State = "waiting"
    progress: float = 0.0  # from 0 to 1
    report: dict[str, Any] | None = None  # of a job that is done
    files: dict[str, dict[str, str]] = field(default_factory=dict)  # paths in the folder, and media types
    error: str | None = None  # the sentence of a job that failed or was stopped
    status: int = 200  # of HTTP, for a client that waits
    started: float | None = None  # seconds of the monotonic clock
    ended: float | None = None
    bytes: int = 0  # of its files, once it has ended
    left: asyncio.Event = field(default_factory=asyncio.Event)  # set once the worker has nothing to do with it any more
    changed: asyncio.Event = field(default_factory=asyncio.Event)  # set at the next change, and then replaced

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ENDED

    def start(self) -> None:
        """The worker begins."""
        self.state, self.started = "running", time.monotonic()
        self._tell()

    def advance(self, progress: float) -> None:
        """The worker has done that much."""
        self.progress = progress
        self._tell()

    def finish(self, report: dict[str, Any]) -> None:
        """The worker is done; the report may have ``files``."""
        self.files = report.pop("files", {})
        self.report, self.progress = report, 1.0
        self._end("done")

    def fail(self, sentence: str, status: int, state: State = "failed") -> None:
        """There will be no result."""
        self.error, self.status = sentence, status
        self._end(state)

    async def wait(self) -> None:
        """Return once it has ended."""
        while not self.has_ended:
            await self.changed.wait()

    def record(self) -> dict[str, Any]:
        """What a client hears of it."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "progress": self.progress,
            "report": self.report,
            "error": self.error,
        }

    def remove_files(self) -> None:
        """Remove all that it has on the disk."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, state: State) -> None:
        self.state, self.ended = state, time.monotonic()
        self.bytes = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        self._tell()

    def _tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()
