"""Writing files so that a crash never leaves half of one."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have, being too long, names none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


@contextmanager
def written_beside(target: Path) -> Iterator[Path]:
    """A path beside ``target`` to write to; renamed to it on success, removed on failure.

    Raises:
        OSError: the folder does not exist or cannot be written.
    """
    short = target.name.encode()[:100].decode(errors="ignore")  # with what is added, a name has 255 bytes at most
    descriptor, name = tempfile.mkstemp(prefix=f".{short}.", suffix=".partial", dir=target.parent)
    partial = Path(name)
    try:
        with suppress(OSError):  # a file system without locks
            _lock(descriptor)
        yield partial
        # mkstemp's files are private; the target gets the permissions of any new or of the old file.
        partial.chmod(target.stat().st_mode if target.exists() else 0o666 & ~_umask())
        if sys.platform == "win32":  # which renames no open file
            os.close(descriptor)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    finally:
        with suppress(OSError):
            os.close(descriptor)


def remove_partials(folder: Path) -> None:
    """Remove what killed processes left beside their targets; what a living one writes is left alone."""
    for partial in folder.glob(".*.partial"):
        with suppress(OSError), partial.open("rb") as file:
            _lock(file.fileno())
            partial.unlink(missing_ok=True)


def _lock(descriptor: int) -> None:
    """Lock a file until it is closed, which the end of its process does in any case.

    Raises:
        OSError: another process has locked it, or the file system has no locks.
    """
    if sys.platform != "win32":  # there, an open file cannot be removed anyway
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
