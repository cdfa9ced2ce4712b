"""Restore one picture file, page by page, with its metadata."""

from __future__ import annotations

import dataclasses
import io
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from toolbox.errors import ImageError, SpecError
from toolbox.files import printable
from toolbox.images.arrays import check_array, strips_of
from toolbox.images.engine.chain import ChainPlan, chain_rows, chain_sizes, part_of, plan_chain, warn_if_any_approximate
from toolbox.images.engine.plan import ANYTHING, Storage
from toolbox.images.engine.request import Request
from toolbox.images.engine.rows import ArrayRows
from toolbox.images.engine.run import Progress
from toolbox.images.file_time import seconds_for_page
from toolbox.images.files.formats import KNOWN, SAME, Format, format_of
from toolbox.images.files.page import Page, StreamedPage
from toolbox.images.files.reading import PictureFile, opened
from toolbox.images.files.writing import kept_whole, unwritable, write_pages
from toolbox.pixels import Array
from toolbox.restorer import Restorer

DECODER, ENCODER = 1.5, 2.5  # bytes that these hold, for each byte of the pixels


@dataclass(frozen=True)
class Networks:
    """The networks to run in a row over a picture, none to leave it as it is."""

    restorers: tuple[Restorer, ...]
    model: str  # their names
    seen: str | None = None  # the reason in a few words, if Toolbox chose them

    @property
    def channels(self) -> int:
        """Channels of the picture for the first network."""
        return self.restorers[0].channels if self.restorers else 3

    @property
    def sources(self) -> tuple[str, ...]:
        """The networks from the hub, with their commits."""
        return tuple(each.source for each in self.restorers if each.source)


@dataclass(frozen=True)
class Settings:
    """The settings for every file of a run."""

    networks: Networks | Callable[[PictureFile], Networks]  # for every file, or chosen for each
    request: Request = ANYTHING
    quality: int | None = None  # 1 to 100, for formats with loss

    def networks_for(self, file: PictureFile) -> Networks:
        """The networks for an open file."""
        return self.networks if isinstance(self.networks, Networks) else self.networks(file)


@dataclass(frozen=True)
class FileReport:
    """The outcome for a file, or the expected one of a dry run."""

    output: str | None
    model: str
    seen: str | None  # what Toolbox saw and chose; None if it got a model
    pages: int
    input_size: tuple[int, int]  # (width, height), of the first page
    output_size: tuple[int, int]
    tiles: int  # of all pages
    exact: bool
    memory: float | None  # bytes of the whole process, at most; None if not estimated
    seconds: float
    replaced: bool = False  # whether the output existed
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()  # hf://user/repo@COMMIT/file of each network from the hub


Target = Path | IO[bytes] | None
# From the open file, its (height, width) before and after, and the name of the model.
Choose = Callable[[PictureFile, tuple[int, int], tuple[int, int], str], tuple[Target, Format]]


def restore_file(
    source: Path | io.BytesIO,
    target: Path | Choose,
    settings: Settings,
    progress: Progress | None = None,
    name: str | None = None,
    watch: Callable[[Page, Page], None] | None = None,
) -> FileReport:
    """Restore all pages of a file, and write them.

    Args:
        source: the path of the file, or its bytes.
        target: the file to write, or a function that chooses it and the format once the sizes are
            known: from the open file and the first page's (height, width) before and after.
        settings: the networks and the rest.
        progress: called with the steps done and the steps in all.
        name: its name in errors; by default its path.
        watch: called with each page before and after.

    Raises:
        ImageError: it cannot be read, restored in the available memory, or written.
        SpecError: the model does not do that size.
    """
    started = time.monotonic()
    with opened(source, name) as file:
        networks = settings.networks_for(file)
        chosen, kind = _chosen(file, networks, settings.request, target)
        plans = plans_for(file, networks, settings.request, kind)
        for plan in plans:
            warn_if_any_approximate(networks.restorers, plan, settings.request, f"{file.name}: ")
        notes: dict[str, None] = {}

        def restored() -> Iterator[Page | StreamedPage]:
            for index, (number, plan) in enumerate(zip(file.pages, plans, strict=True)):
                before = file.page(number)
                notes.update(dict.fromkeys(before.notes))
                if before.bands is not None and before.bands.shape[2] != networks.channels:
                    count = before.bands.shape[2]
                    notes[f"left out channels that are no colors; a model with {count} channels restores all"] = None
                steps = part_of(progress, index, len(plans))
                after = _restored(file, before, plan, networks, settings.request, steps)
                if watch is not None:
                    after = after if isinstance(after, Page) else after.whole()
                    watch(before, after)
                yield after

        def write(out: IO[bytes]) -> list[str]:
            if not networks.restorers and settings.quality is None and kind.name == SAME.get(file.format, file.format):
                for _ in restored() if watch is not None else ():
                    pass
                out.write(file.content())
                return []
            durations = file.durations() if file.animated else ()
            return write_pages(out, restored(), kind, settings.quality, durations, file.loop)

        replaced = isinstance(chosen, Path) and chosen.exists()
        if isinstance(chosen, Path):
            with kept_whole(chosen) as out:
                written = write(out)
        else:
            buffer = io.BytesIO()
            with unwritable("standard output"):
                written = write(buffer)
                if chosen is not None:
                    chosen.write(buffer.getbuffer())
                    chosen.flush()
        report = _report(file, plans, networks, str(chosen) if isinstance(chosen, Path) else "-")
    return dataclasses.replace(
        report,
        seconds=round(time.monotonic() - started, 3),
        replaced=replaced,
        notes=tuple(dict.fromkeys((*notes, *written))),
    )


def dry_run(
    source: Path | io.BytesIO, target: Path | Choose, settings: Settings, name: str | None = None
) -> FileReport:
    """Predict the outcome of ``restore_file``: by the header, the networks, and the time for a part of the first page.

    Raises:
        ImageError, SpecError: as in ``restore_file``, if the cause is known before.
    """
    with opened(source, name) as file:
        networks = settings.networks_for(file)
        chosen, kind = _chosen(file, networks, settings.request, target)
        plans = plans_for(file, networks, settings.request, kind, estimate_small=True)
        report = _report(file, plans, networks, str(chosen) if isinstance(chosen, Path) else None)
        if not networks.restorers:
            return report
        first = seconds_for_page(file, file.pages[0], plans[0].size, kind, settings.quality)
        pixels = [plan.size[0] * plan.size[1] for plan in plans]
        return dataclasses.replace(report, seconds=report.seconds + first * sum(pixels) / pixels[0])


def plans_for(
    file: PictureFile, networks: Networks, request: Request, kind: Format, *, estimate_small: bool = False
) -> list[ChainPlan]:
    """The plan for each page of a file, for a result of that format.

    Raises:
        ImageError, SpecError: a page cannot be restored; the message names the file.
    """
    plans = []
    for number in file.pages:
        shape = _shape(file, number, networks)
        with _named(file):
            size = (
                chain_sizes(networks.restorers, request.geometry, *shape[1:])[-1] if networks.restorers else shape[1:]
            )
            storage = _storage(file, number, shape, size, kind)
            plans.append(plan_chain(networks.restorers, shape, request, estimate_small=estimate_small, storage=storage))
    return plans


def _shape(file: PictureFile, number: int, networks: Networks) -> tuple[int, int, int]:
    """The channels that the networks restore, height and width of a page."""
    (colors, height, width), bands = file.shape(number), file.bands(number)
    return (bands if bands == networks.channels else colors), height, width


def _storage(
    file: PictureFile, number: int, shape: tuple[int, int, int], size: tuple[int, int], kind: Format
) -> Storage:
    """The memory for a page and its result."""
    channels, height, width = shape
    before = channels * height * width * file.itemsize(number)
    after = 0 if kind.by_rows else channels * size[0] * size[1] * (file.itemsize(number) if kind.deep else 1)
    kept = 0 if file.keeps(number) else before  # what is decoded is in use already
    return Storage(kept + after, kept + max(DECODER * before, after * (1 + ENCODER)))


@contextmanager
def _named(file: PictureFile) -> Iterator[None]:
    """Add the name of the file to errors."""
    try:
        yield
    except (ImageError, SpecError) as error:
        raise type(error)(f"{file.name}: {error}") from None


def usual_format(file: PictureFile) -> Format:
    """The format to write when none is requested: the file's own, or PNG if that would lose too much."""
    own = "JPEG" if file.format == "MPO" else file.format
    if own not in KNOWN or own in ("PCX", "PPM") or (own == "GIF" and not file.animated):
        return KNOWN["PNG"]
    return KNOWN[own]


def _chosen(file: PictureFile, networks: Networks, request: Request, target: Path | Choose) -> tuple[Target, Format]:
    """The place of the result and its format, once its size is sure."""
    _, height, width = file.shape(file.pages[0])
    with _named(file):
        sizes = chain_sizes(networks.restorers, request.geometry, height, width)
    if isinstance(target, Path):
        return target, format_of(target)
    return target(file, (height, width), sizes[-1] if sizes else (height, width), networks.model)


def _restored(
    file: PictureFile, page: Page, plan: ChainPlan, networks: Networks, request: Request, progress: Progress | None
) -> Page | StreamedPage:
    if not networks.restorers:
        return page
    before, metadata = page.channels(networks.channels), page.metadata.sized(plan.size)

    def strips() -> Iterator[Array]:
        try:
            check_array(before)
            yield from strips_of(chain_rows(networks.restorers, ArrayRows(before), plan, request, progress), before)
        except ImageError as error:
            raise ImageError(f"{file.name}: {networks.model}: {error}") from None

    shape = (*plan.size, *before.shape[2:])
    return StreamedPage(strips(), shape, metadata, page.notes, of_bands=before is page.bands)


def _report(file: PictureFile, plans: list[ChainPlan], networks: Networks, output: str | None) -> FileReport:
    _, height, width = file.shape(file.pages[0])
    estimates = [plan.memory for plan in plans if plan.memory is not None]
    return FileReport(
        output=None if output is None else printable(output),
        model=networks.model,
        seen=networks.seen,
        pages=len(plans),
        input_size=(width, height),
        output_size=(plans[0].size[1], plans[0].size[0]),
        tiles=sum(plan.tiles for plan in plans),
        exact=all(plan.exact for plan in plans),
        memory=max(estimates, default=None),
        seconds=math.fsum(plan.seconds for plan in plans),
        sources=networks.sources,
    )
