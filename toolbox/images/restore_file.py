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
from toolbox.files import printable
from toolbox.images.engine.chain import ChainPlan, part_of, plan_chain, run_chain, warn_if_any_approximate
from toolbox.images.engine.plan import ANYTHING
from toolbox.images.engine.request import Request
from toolbox.images.engine.run import Progress
from toolbox.images.files.formats import KNOWN, SAME, Format, format_of
from toolbox.images.files.page import Page, page_of_bands
from toolbox.images.files.reading import PictureFile, opened
from toolbox.images.files.writing import kept_whole, unwritable, write_pages
from toolbox.restorer import Restorer


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
        plans = plans_for(file, networks, settings.request)
        chosen, kind = _chosen(file, plans, networks, target)
        for plan in plans:
            warn_if_any_approximate(networks.restorers, plan, settings.request, f"{file.name}: ")
        notes: dict[str, None] = {}

        def restored() -> Iterator[Page]:
            for index, (number, plan) in enumerate(zip(file.pages, plans, strict=True)):
                before = file.page(number)
                notes.update(dict.fromkeys(before.notes))
                if before.bands is not None and before.bands.shape[2] != networks.channels:
                    count = before.bands.shape[2]
                    notes[f"left out channels that are no colors; a model with {count} channels restores all"] = None
                steps = part_of(progress, index, len(plans))
                after = _restored(file, before, plan, networks, settings.request, steps)
                if watch is not None:
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
    """Predict the outcome of ``restore_file`` from the file's header and the networks' sizes.

    Raises:
        ImageError, SpecError: as in ``restore_file``, if the cause is known before.
    """
    with opened(source, name) as file:
        networks = settings.networks_for(file)
        plans = plans_for(file, networks, settings.request, estimate_small=True)
        chosen, _ = _chosen(file, plans, networks, target)
        return _report(file, plans, networks, str(chosen) if isinstance(chosen, Path) else None)


def plans_for(
    file: PictureFile, networks: Networks, request: Request, *, estimate_small: bool = False
) -> list[ChainPlan]:
    """The plan for each page of a file.

    Raises:
        ImageError, SpecError: a page cannot be restored; the message names the file.
    """
    plans = []
    for number in file.pages:
        (colors, height, width), bands = file.shape(number), file.bands(number)
        shape = (bands if bands == networks.channels else colors, height, width)
        try:
            plans.append(plan_chain(networks.restorers, shape, request, estimate_small=estimate_small))
        except (ImageError, SpecError) as error:
            raise type(error)(f"{file.name}: {error}") from None
    return plans


def usual_format(file: PictureFile) -> Format:
    """The format to write when none is requested: the file's own, or PNG if that would lose too much."""
    own = "JPEG" if file.format == "MPO" else file.format
    if own not in KNOWN or own in ("PCX", "PPM") or (own == "GIF" and not file.animated):
        return KNOWN["PNG"]
    return KNOWN[own]


def _chosen(
    file: PictureFile, plans: list[ChainPlan], networks: Networks, target: Path | Choose
) -> tuple[Target, Format]:
    if isinstance(target, Path):
        return target, format_of(target)
    return target(file, file.shape(file.pages[0])[1:], plans[0].size, networks.model)


def _restored(
    file: PictureFile, page: Page, plan: ChainPlan, networks: Networks, request: Request, progress: Progress | None
) -> Page:
    if not networks.restorers:
        return page
    try:
        before = page.channels(networks.channels)
        after = run_chain(networks.restorers, before, plan, request, progress)
    except ImageError as error:
        raise ImageError(f"{file.name}: {networks.model}: {error}") from None
    metadata = page.metadata.sized(plan.size)
    if before is page.bands:
        return page_of_bands(after, metadata, page.notes)
    return dataclasses.replace(page, pixels=after, metadata=metadata, bands=None)


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
