"""Find the files of a run, and the place of each result."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolbox.errors import ImageError, SpecError
from toolbox.files import printable
from toolbox.images.files.formats import Format, check_writable, format_of, readable_suffixes, suffix_of
from toolbox.images.files.reading import is_picture

STANDARD = "-"  # standard input or output
PATTERN = re.compile(r"[*?[]")
FIELDS = ("stem", "suffix", "folder", "scale", "width", "height", "model")


@dataclass(frozen=True)
class Source:
    """A file to restore; without a path it is standard input."""

    path: Path | None
    inside: Path = Path()  # its path inside the given folder
    in_folder: bool = False  # whether it was found in a folder, and not named itself

    def __str__(self) -> str:
        """The name to print, without control characters."""
        return "standard input" if self.path is None else printable(self.path)


@dataclass(frozen=True)
class Output:
    """The place for results: a file, a folder, a pattern of names, or standard output."""

    text: str
    is_folder: bool
    kind: Format | None = None  # the requested format; else the suffix or the input decides

    @property
    def is_standard(self) -> bool:
        return self.text == STANDARD

    @property
    def is_pattern(self) -> bool:
        return "{" in self.text

    def target(self, source: Source, usual: Format, values: dict[str, str]) -> tuple[Path, Format]:
        """The file for a source, and its format.

        Args:
            source: the input.
            usual: the format to write when none is requested.
            values: the values of the fields scale, width, height and model.

        Raises:
            ImageError: no format has the suffix, or it contradicts the requested format.
        """
        kind = self.kind or usual
        given = source.path or Path("standard-input")
        keeps = given.suffix and _names(given) == kind
        suffix = given.suffix if keeps else suffix_of(kind)
        if self.is_folder:
            return Path(self.text) / source.inside / f"{given.stem}{suffix}", kind
        if self.is_pattern:
            fields = {"stem": given.stem, "suffix": suffix, "folder": str(given.parent), **values}
            path = Path(self.text.format(**fields))
        else:
            path = Path(self.text)
        named = format_of(path)
        if self.kind is not None and named != self.kind:
            raise ImageError(
                f"{path}: got the format {self.kind.name}, which this suffix does not name; drop one of them"
            )
        return path, named


@dataclass(frozen=True)
class Found:
    """The files to restore, and the number of files in the given folders that are no pictures."""

    sources: list[Source]
    others: int = 0


def find_sources(
    arguments: Sequence[str], recursive: bool, output: Output | None, keep: Callable[[Source], bool] | None = None
) -> Found:
    """The files that the arguments name: files, folders, patterns such as ``*.tif``, and ``-``.

    In a folder these are all files with the suffix of a picture or the content of one, in order, except hidden ones
    and those in the folder of the results. A missing file is included too; restoring it fails later.

    Args:
        arguments: what the user named.
        recursive: also search the folders in folders.
        output: of the results.
        keep: whether a file counts, before Toolbox looks into it; with this there may be none.

    Raises:
        ImageError: there is no picture.
    """
    found: dict[Path | None, Source] = {}
    others: set[Path] = set()
    for argument in arguments:
        for source in _named(argument, recursive, output):
            if keep is not None and not keep(source):
                continue
            if source.path is not None and source.in_folder and not may_be_picture(source.path):
                others.add(source.path.absolute())
            else:
                found.setdefault(source.path and source.path.absolute(), source)
    if not found and keep is None:
        count = f", but {others_in_words(len(others))}" if others else ""
        more = "" if recursive else "; use --recursive to search subfolders"
        raise ImageError(f"{', '.join(arguments)}: no picture found{count}{more}")
    return Found(list(found.values()), len(others))


def others_in_words(count: int) -> str:
    """A sentence about the files that are no pictures."""
    return "1 file is no picture" if count == 1 else f"{count} files are no pictures"


def source_in(folder: Path, path: Path, recursive: bool, output: Output) -> Source | None:
    """A file in a folder as ``find_sources`` finds it there; None if it does not, whatever its content is."""
    inside = path.relative_to(folder)
    is_hidden = any(part.startswith(".") for part in inside.parts)
    is_result = output.is_folder and Path(output.text).absolute() in path.absolute().parents
    if is_hidden or is_result or (len(inside.parts) > 1 and not recursive):
        return None
    return Source(path, inside.parent, in_folder=True)


def may_be_picture(path: Path) -> bool:
    """Whether a file has the suffix of a picture, or else the first bytes of one."""
    return path.suffix.lower() in readable_suffixes() or is_picture(path)


def _named(argument: str, recursive: bool, output: Output | None) -> Iterator[Source]:
    path = Path(argument)
    if argument == STANDARD:
        yield Source(None)
    elif is_folder(path):
        results = Path(output.text).absolute() if output and output.is_folder else None
        files = _files(path, recursive, results)
        yield from (Source(each, each.parent.relative_to(path), in_folder=True) for each in files)
    elif PATTERN.search(argument) and not os.path.lexists(argument):
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207  # pathlib takes no absolute pattern
        yield from (Source(Path(each)) for each in matches if not is_folder(Path(each)))
        if not matches:
            yield Source(path)
    else:
        yield Source(path)


def _files(folder: Path, recursive: bool, results: Path | None) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        here = Path(where)
        kept = (name for name in sorted(folders) if not name.startswith(".") and (here / name).absolute() != results)
        folders[:] = kept if recursive else ()
        yield from (here / name for name in sorted(names) if not name.startswith("."))


def output_of(text: str, arguments: Sequence[str], kind: Format | None) -> Output:
    """The output for the text after ``--output``.

    Raises:
        SpecError: it does not suit these inputs, or has an unknown field.
        ImageError: the file cannot be written.
    """
    several = len(arguments) > 1 or any(is_folder(Path(each)) or PATTERN.search(each) for each in arguments)
    if text == STANDARD:
        if several:
            raise SpecError("got several pictures for standard output, expected one")
        return Output(text, False, kind)
    if "{" in text:
        _check_pattern(text)
        return Output(text, False, kind)
    path = Path(text)
    named = path.suffix.lower() in readable_suffixes()  # as a file is
    if text.endswith(("/", os.sep)) or (not named and (several or is_folder(path))) or (several and is_folder(path)):
        return Output(text, True, kind)
    if several:
        raise SpecError(f"got several pictures for {text}, expected a folder such as out/, or a pattern of names")
    check_writable(path)
    return Output(text, False, kind)


def is_folder(path: Path) -> bool:
    """Whether the folder exists; False for an impossible name."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _check_pattern(text: str) -> None:
    expected = " ".join(f"{{{field}}}" for field in FIELDS)
    try:
        text.format(**dict.fromkeys(FIELDS, ""))
    except (KeyError, IndexError, ValueError, AttributeError):
        raise SpecError(f"got the pattern {text!r}, expected the fields {expected}") from None


def _names(path: Path) -> Format | None:
    try:
        return format_of(path)
    except ImageError:
        return None
