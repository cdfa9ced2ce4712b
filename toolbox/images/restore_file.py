"""Restore one picture file, page by page, with its metadata."""

from __future__ import annotations

import dataclasses
import io
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from toolbox.errors import ImageError, SpecError
from toolbox.images.engine.plan import ANYTHING, Plan, make_plan, warn_if_approximate
from toolbox.images.engine.request import Request
from toolbox.images.engine.run import Progress, restore_array
from toolbox.images.files.formats import KNOWN, Format, format_of
from toolbox.images.files.page import Page, page_of_bands
from toolbox.images.files.reading import PictureFile, opened
from toolbox.images.files.writing import kept_whole, unwritable, write_pages
from toolbox.restorer import Restorer


@dataclass(frozen=True)
class Settings:
    """The settings for every file of a run."""

    restorer: Restorer
    model: str  # its name
    request: Request = ANYTHING
    quality: int | None = None  # 1 to 100, for formats with loss


@dataclass(frozen=True)
class FileReport:
    """The outcome for a file, or the expected one of a dry run."""

    output: str | None
    pages: int
    input_size: tuple[int, int]  # (width, height), of the first page
    output_size: tuple[int, int]
    tiles: int  # of all pages
    exact: bool
    memory: float | None  # bytes of the whole process, at most; None if not estimated
    seconds: float
    notes: tuple[str, ...] = ()


Target = Path | IO[bytes] | None
Choose = Callable[[PictureFile, tuple[int, int], tuple[int, int]], tuple[Target, Format]]


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
        settings: the network and the rest.
        progress: called with the steps done and the steps in all.
        name: its name in errors; by default its path.
        watch: called with each page before and after.

    Raises:
        ImageError: it cannot be read, restored in the available memory, or written.
        SpecError: the model does not do that size.
    """
    started = time.monotonic()
    with opened(source, name) as file:
        plans = plans_for(file, settings)
        chosen, kind = _chosen(file, plans, settings, target)
        for plan in plans:
            warn_if_approximate(settings.restorer, plan, settings.request, f"{file.name}: ")
        notes: dict[str, None] = {}

        def restored() -> Iterator[Page]:
            for index, (number, plan) in enumerate(zip(file.pages, plans, strict=True)):
                before = file.page(number)
                notes.update(dict.fromkeys(before.notes))
                if before.bands is not None and before.bands.shape[2] != settings.restorer.channels:
                    count = before.bands.shape[2]
                    notes[f"left out channels that are no colors; a model with {count} channels restores all"] = None
                after = _restored(file, before, plan, settings, _part(progress, index, len(plans)))
                if watch is not None:
                    watch(before, after)
                yield after

        durations = file.durations() if file.animated else ()
        if isinstance(chosen, Path):
            with kept_whole(chosen) as out:
                written = write_pages(out, restored(), kind, settings.quality, durations, file.loop)
        else:
            buffer = io.BytesIO()
            with unwritable("standard output"):
                written = write_pages(buffer, restored(), kind, settings.quality, durations, file.loop)
                if chosen is not None:
                    chosen.write(buffer.getbuffer())
                    chosen.flush()
        report = _report(file, plans, settings, str(chosen) if isinstance(chosen, Path) else "-")
    return dataclasses.replace(
        report, seconds=round(time.monotonic() - started, 3), notes=tuple(dict.fromkeys((*notes, *written)))
    )


def dry_run(
    source: Path | io.BytesIO, target: Path | Choose, settings: Settings, name: str | None = None
) -> FileReport:
    """Predict the outcome of ``restore_file`` from the file's header and the network's size.

    Raises:
        ImageError, SpecError: as in ``restore_file``, if the cause is known before.
    """
    with opened(source, name) as file:
        plans = plans_for(file, settings, estimate_small=True)
        chosen, _ = _chosen(file, plans, settings, target)
        return _report(file, plans, settings, str(chosen) if isinstance(chosen, Path) else None)


def plans_for(file: PictureFile, settings: Settings, *, estimate_small: bool = False) -> list[Plan]:
    """The plan for each page of a file.

    Raises:
        ImageError, SpecError: a page cannot be restored; the message names the file.
    """
    plans = []
    for number in file.pages:
        (colors, height, width), bands = file.shape(number), file.bands(number)
        shape = (bands if bands == settings.restorer.channels else colors, height, width)
        try:
            plans.append(make_plan(settings.restorer, shape, settings.request, estimate_small=estimate_small))
        except (ImageError, SpecError) as error:
            raise type(error)(f"{file.name}: {error}") from None
    return plans


def usual_format(file: PictureFile) -> Format:
    """The format to write when none is requested: the file's own, or PNG if that would lose too much."""
    own = "JPEG" if file.format == "MPO" else file.format
    if own not in KNOWN or own in ("PCX", "PPM") or (own == "GIF" and not file.animated):
        return KNOWN["PNG"]
    return KNOWN[own]


def _chosen(file: PictureFile, plans: list[Plan], settings: Settings, target: Path | Choose) -> tuple[Target, Format]:
    if isinstance(target, Path):
        return target, format_of(target)
    return target(file, file.shape(file.pages[0])[1:], plans[0].size)


def _restored(file: PictureFile, page: Page, plan: Plan, settings: Settings, progress: Progress | None) -> Page:
    try:
        before = page.channels(settings.restorer.channels)
        after = restore_array(settings.restorer, before, plan, progress, settings.request.conditions)
    except ImageError as error:
        raise ImageError(f"{file.name}: {settings.model}: {error}") from None
    metadata = page.metadata.sized(plan.size)
    if before is page.bands:
        return page_of_bands(after, metadata, page.notes)
    return dataclasses.replace(page, pixels=after, metadata=metadata, bands=None)


def _part(progress: Progress | None, index: int, count: int) -> Progress | None:
    """The progress of one page as a part of all of them."""
    if progress is None or count == 1:
        return progress
    return lambda done, steps: progress(index * steps + done, count * steps)


def _report(file: PictureFile, plans: list[Plan], settings: Settings, output: str | None) -> FileReport:
    _, height, width = file.shape(file.pages[0])
    estimates = [plan.memory for plan in plans if plan.memory is not None]
    return FileReport(
        output=output,
        pages=len(plans),
        input_size=(width, height),
        output_size=(plans[0].size[1], plans[0].size[0]),
        tiles=sum(plan.tiles for plan in plans),
        exact=all(plan.exact for plan in plans),
        memory=max(estimates, default=None),
        seconds=math.fsum(plan.seconds or 0 for plan in plans),
    )
