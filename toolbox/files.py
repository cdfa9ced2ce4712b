"""Write files so that a crash never leaves half of one."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether the file exists; False for a name that is too long for any file."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def printable(text: object) -> str:
    """Text such as a file's name with escapes in the place of control characters, which a terminal would obey.

    Bytes of a name that are no text become escapes too.
    """
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in str(text))


def _escape(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that Python could not decode
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()


@contextmanager
def written_beside(target: Path) -> Iterator[Path]:
    """A path beside ``target`` to write to; renamed to it on success, removed on failure.

    Raises:
        OSError: the folder does not exist or cannot be written.
    """
    # A name has at most 255 bytes, with our additions. Bytes that are no text are left out.
    short = os.fsencode(target.name)[:100].decode(errors="ignore")
    descriptor, name = tempfile.mkstemp(prefix=f".{short}.", suffix=".partial", dir=target.parent)
    partial = Path(name)
    try:
        with suppress(OSError):  # a file system without locks
            _lock(descriptor)
        yield partial
        # mkstemp makes private files. The target gets the permissions of the old file, or of any new one.
        partial.chmod(target.stat().st_mode if target.exists() else 0o666 & ~_umask())
        if sys.platform == "win32":  # Windows does not rename an open file
            os.close(descriptor)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    finally:
        with suppress(OSError):
            os.close(descriptor)


def remove_partials(folder: Path) -> None:
    """Remove the partial files of killed processes, but not those that a live process still writes."""
    for partial in folder.glob(".*.partial"):
        with suppress(OSError), partial.open("rb") as file:
            _lock(file.fileno())
            partial.unlink(missing_ok=True)


def _lock(descriptor: int) -> None:
    """Lock a file until it is closed. The end of its process also closes it.

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
