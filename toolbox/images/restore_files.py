"""Restore many files, several at a time, each completely or not at all, and record each outcome."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import torch

from toolbox.errors import ImageError, ToolboxError
from toolbox.files import printable, remove_partials
from toolbox.images.engine.hardware import threads
from toolbox.images.files.formats import Format, check_writable
from toolbox.images.files.page import Page
from toolbox.images.files.reading import PictureFile, opened
from toolbox.images.jobs import Output, Source
from toolbox.images.restore_file import FileReport, Settings, dry_run, restore_file, usual_format


@dataclass(frozen=True)
class Outcome:
    """The outcome for a file: a report, the existing file that made it skip, or an error."""

    source: Source
    report: FileReport | None = None
    skipped: str | None = None  # the existing file
    error: ToolboxError | None = None


class _Skipped(Exception):
    """The target already exists."""


class _Stopped(BaseException):
    """The user pressed Ctrl-C; this is no error of the file."""


@dataclass(frozen=True)
class Streams:
    """Standard input and output, in bytes."""

    read: IO[bytes]
    write: IO[bytes]


Skip = Callable[[Source, Path], bool]  # whether a source needs no work, because of what is at its target


def never(_: Source, __: Path) -> bool:
    """Restore every file."""
    return False


def existing(_: Source, target: Path) -> bool:
    """Leave out the files that have a result."""
    return target.exists()


def current(source: Source, target: Path) -> bool:
    """Leave out the files that have a result which is not older than they are."""
    try:
        status, result = source.path.stat() if source.path is not None else None, target.stat()
    except OSError:
        return False
    # A file that was moved here keeps its time, but not that of its entry.
    return status is not None and max(status.st_mtime_ns, status.st_ctime_ns) <= result.st_mtime_ns


class FilesRun:
    """A run over files, which knows what it may overwrite and which targets are taken."""

    def __init__(
        self,
        sources: Sequence[Source],
        output: Output | None,
        settings: Settings,
        streams: Streams,
        *,
        overwrite: bool = False,
        skip: Skip = never,
        only_tell: bool = False,
    ) -> None:
        """Nothing is written without an output, or with ``only_tell``."""
        self.sources, self.output, self.settings, self.streams = sources, output, settings, streams
        self.overwrite, self.skip, self.only_tell = overwrite, skip, only_tell
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._taken: dict[Path, Source] = {}
        self._clean: set[Path] = set()
        self._inputs = {_identity(source.path) for source in sources if source.path is not None}

    def go_on(self, sources: Sequence[Source]) -> None:
        """Turn to other files. No two files of all get the same target."""
        self.sources = sources
        self._inputs.update(_identity(source.path) for source in sources if source.path is not None)

    def run(
        self, progress: Callable[[Source, float], None], watch: Callable[[Page, Page], None] | None = None
    ) -> Iterator[Outcome]:
        """Restore every file and yield the outcomes as they come; a failure does not stop the others.

        Args:
            progress: called with a file and the fraction that is done, from 0 to 1.
            watch: called with each page before and after.
        """
        self._stop.clear()
        workers = min(self.settings.request.workers, len(self.sources))
        if workers <= 1:
            yield from (self._outcome(source, progress, watch) for source in self.sources)
            return
        with threads(max(1, torch.get_num_threads() // workers)), ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(self._outcome, source, progress, watch) for source in self.sources]
            try:
                yield from (future.result() for future in as_completed(futures))
            finally:
                self._stop.set()
                for future in futures:
                    future.cancel()

    def _outcome(
        self, source: Source, progress: Callable[[Source, float], None], watch: Callable[[Page, Page], None] | None
    ) -> Outcome:
        def step(done: int, steps: int) -> None:
            if self._stop.is_set():
                raise _Stopped
            progress(source, done / steps)

        def choose(
            file: PictureFile, before: tuple[int, int], after: tuple[int, int], model: str
        ) -> tuple[Path | IO[bytes] | None, Format]:
            return self._target(source, file, before, after, model)

        name = str(source)
        try:
            data = source.path if source.path is not None else io.BytesIO(self.streams.read.read())
            self._reserve_early(source)
            if self.only_tell:
                return Outcome(source, dry_run(data, choose, self.settings, str(source)))
            return Outcome(source, restore_file(data, choose, self.settings, step, str(source), watch))
        except _Skipped as skipped:
            return Outcome(source, skipped=str(skipped))
        except ToolboxError as error:
            named = name in str(error) or (len(self.sources) == 1 and "cannot be written" in str(error))
            return Outcome(source, error=error if named else type(error)(f"{name}: {error}"))
        # No error may stop the other files; --debug shows the traceback.
        except Exception as fault:
            reason = f"failed with {type(fault).__name__}: {' '.join(str(fault).split())}"
            if isinstance(fault, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(fault):
                reason = "the memory ran out; set --max-memory, or use fewer --workers"
            failure = ImageError(f"{name}: {reason}")
            failure.__cause__ = fault
            return Outcome(source, error=failure)

    def _target(
        self, source: Source, file: PictureFile, before: tuple[int, int], after: tuple[int, int], model: str
    ) -> tuple[Path | IO[bytes] | None, Format]:
        usual = usual_format(file)
        if self.output is None:
            return None, usual
        if self.output.is_standard:
            return self.streams.write, self.output.kind or usual
        scale = self.settings.request.geometry.scale or round(after[1] / before[1], 2)
        across = f"{scale[1]:g}x{scale[0]:g}" if isinstance(scale, tuple) else f"{scale:g}"
        values = {
            "scale": across,
            "width": str(after[1]),
            "height": str(after[0]),
            "model": "+".join(Path(each).stem for each in model.split("+")),
        }
        target, kind = self.output.target(source, usual, values)
        self._reserve(source, target)
        self._prepare(target)
        return target, kind

    def _reserve_early(self, source: Source) -> None:
        """Skip a file before a network is chosen for it, if its header alone tells the target."""
        if self.skip is not never and self.output is not None and self.output.is_folder and source.path is not None:
            with opened(source.path, str(source)) as file:
                target, _ = self.output.target(source, usual_format(file), {})
            self._reserve(source, target)

    def _reserve(self, source: Source, target: Path) -> None:
        """Reserve a target for a source, unless it is skipped.

        Raises:
            ImageError: the target is an input, or belongs to another file.
        """
        identity = _identity(target)
        with self._lock:
            other = self._taken.setdefault(identity, source)
            if other != source:
                raise ImageError(
                    f"{source} and {other} would both be written to {printable(target)}; use a pattern that tells "
                    "them apart"
                )
        if identity in self._inputs and not self.overwrite:
            whose = "the input itself" if identity == _identity(source.path or target) else "one of the inputs"
            raise ImageError(f"{printable(target)} is {whose}; choose another name, or use --overwrite")
        if self.skip(source, target):
            raise _Skipped(printable(target))

    def _prepare(self, target: Path) -> None:
        """Make the folder of a target.

        Raises:
            ImageError: the target cannot be written.
        """
        if self.only_tell:
            return
        if self.output is not None and (self.output.is_folder or self.output.is_pattern):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ImageError(
                    f"{printable(target.parent)}: the folder cannot be created: {error.strerror}"
                ) from None
        check_writable(target)
        with self._lock:
            if target.parent not in self._clean:
                self._clean.add(target.parent)
                remove_partials(target.parent)


def _identity(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):  # an impossible name, or links in a circle
        return path.absolute()
