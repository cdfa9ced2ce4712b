"""Watch folders for pictures that are new or changed, and complete."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from toolbox.errors import SpecError
from toolbox.images.jobs import Output, Source, is_folder, may_be_picture, source_in

QUIET = 1.0  # seconds without a change after which a file is complete
PACE = 250  # milliseconds between two looks at the files that are not complete yet
Mark = tuple[int, int]  # size and time of the last change, in nanoseconds


class WatchedFolders:
    """The pictures of folders: first all, then each again that comes or changes.

    Args:
        folders: to watch.
        recursive: also the folders in them.
        output: the folder of the results, whose files are ignored.
    """

    def __init__(self, folders: Sequence[str], recursive: bool, output: Output | None) -> None:
        """Check the folders.

        Raises:
            SpecError: one is missing, results would come among the pictures, or a package is missing.
        """
        for each in folders:
            if not is_folder(Path(each)):
                raise SpecError(f"got {each} for --watch, expected a folder that exists")
        if output is None or not output.is_folder:
            raise SpecError("got no folder as the output for --watch, expected one such as out/")
        if any(Path(output.text).resolve() == Path(each).resolve() for each in folders):
            raise SpecError(f"got the watched folder {output.text} as the output, expected another one, such as out/")
        if find_spec("watchfiles") is None:
            raise SpecError(
                "--watch needs watchfiles, which is not installed; pip install 'toolbox-restoration[serve]'"
            )
        self.recursive, self.output = recursive, output
        self.folders = {Path(each).resolve(): Path(each) for each in folders}  # as the system and the user name them
        self._pending: dict[Path, tuple[Source, Mark, float]] = {}  # since when they are as they are
        self._complete: dict[Path, Mark] = {}

    def batches(self, stop: Any = None) -> Iterator[list[Source]]:
        """Pictures that are complete, as they become so. The list is empty while nothing happens.

        Args:
            stop: an event that ends the watch; by default only an interruption does.
        """
        from watchfiles import watch

        changes = watch(
            *self.folders,
            recursive=self.recursive,
            stop_event=stop,
            rust_timeout=PACE,
            yield_on_timeout=True,
            watch_filter=None,
            debounce=PACE,
            ignore_permission_denied=True,
        )
        everything = [(None, str(folder)) for folder in self.folders]
        for changed in changes:
            for _, path in (*everything, *changed):
                self._see(Path(path))
            everything = []  # once the watch has begun, so that nothing is missed
            yield self._take_complete()

    def _see(self, changed: Path) -> None:
        """Remember a file that may be new or changed, or all files of a folder."""
        for folder, named in self.folders.items():
            if not changed.is_relative_to(folder):
                continue
            for path in changed.rglob("*") if is_folder(changed) else (changed,):
                source = source_in(named, named / path.relative_to(folder), self.recursive, self.output)
                mark = None if source is None else _mark(source)
                if source is None or source.path is None or mark is None:
                    continue
                before = self._pending.get(source.path)
                if mark != (self._complete.get(source.path) if before is None else before[1]):
                    self._pending[source.path] = source, mark, time.monotonic()

    def _take_complete(self) -> list[Source]:
        """The pictures that have not changed for a while, by name."""
        complete = []
        for path, (source, mark, since) in sorted(self._pending.items()):
            now = _mark(source)
            if now is not None and now != mark:
                self._pending[path] = source, now, time.monotonic()
            elif now is None or time.monotonic() - since >= QUIET:
                del self._pending[path]
                if now is not None and may_be_picture(path):
                    self._complete[path] = now
                    complete.append(source)
        return complete


def _mark(source: Source) -> Mark | None:
    """What tells one state of a file from another; None if there is no such file."""
    try:
        status = source.path.stat() if source.path is not None else None
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if status is not None and stat.S_ISREG(status.st_mode) else None
