"""What the worker does with one picture: restore it as ``toolbox restore`` does, or look at it."""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from toolbox.discovery import installed_with
from toolbox.errors import ImageError
from toolbox.files import printable
from toolbox.images.engine import hardware
from toolbox.images.engine.chain import chain_sizes, check_request
from toolbox.images.engine.request import Geometry, Request
from toolbox.images.files.formats import SAME, format_named
from toolbox.images.files.page import Page
from toolbox.images.files.picture import image_of
from toolbox.images.files.reading import PictureFile, opened
from toolbox.images.inspection.inspect import inspect_file
from toolbox.images.jobs import Output, Source
from toolbox.images.models import ChosenNetworks, named_networks, sigma_alone
from toolbox.images.ready import ready_names, ready_record
from toolbox.images.restore_file import Networks, Settings, usual_format
from toolbox.images.restore_files import FilesRun, Streams
from toolbox.restorer import Restorer
from toolbox.serving.job import PICTURE, RESULTS, VIEWS
from toolbox.serving.options import Options
from toolbox.weights.find import find_model

SHOWN = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "AVIF", "BMP")  # formats that browsers show, by Pillow's names


class TooLarge(ImageError):
    """A picture, or its result, has more pixels than the server takes."""


@dataclass(frozen=True)
class TaskSettings:
    """The settings of a worker, the same for all pictures."""

    pixels: int
    catalogs: tuple[str, ...] = ()
    device: str | None = None
    max_memory: str | None = None


class Tasks:
    """The tasks of a worker, with the networks that it has loaded."""

    def __init__(self, settings: TaskSettings) -> None:
        self.settings = settings
        self.registries = installed_with(map(Path, settings.catalogs))
        self._load = cache(self._placed)

    def _placed(self, name: str) -> Restorer:
        return hardware.placed(find_model(name, self.registries), self.settings.device, None)

    def models(self) -> list[dict[str, Any]]:
        """The networks that clients may name, which are loaded by this."""
        return [
            ready_record(name, self.registries.architectures[name].summary, self._load(name))
            for name in ready_names(self.registries)
        ]

    def inspect(self, folder: Path, name: str) -> dict[str, Any]:
        """What the picture ``name`` of a job suffers from.

        Raises:
            ImageError: it cannot be read, or is too large.
        """
        with hardware.large_pictures(), opened(folder / PICTURE / name, name) as file:
            self._check_picture(file)
            return inspect_file(file).record()

    def restore(
        self, folder: Path, name: str, options: Options, progress: Callable[[float], None], *, views: bool
    ) -> dict[str, Any]:
        """Restore the picture ``name`` of a job.

        Args:
            folder: of the job; the picture is in a folder in it, and the result gets another.
            name: of the file.
            options: as of the form.
            progress: called with the fraction that is done, from 0 to 1.
            views: also write what a browser does not show as PNG.

        Returns:
            The report of the file, and the paths and media types of the files ``picture``, ``result``, ``before`` and
            ``after``; the last two are for a browser.

        Raises:
            ToolboxError: as ``toolbox restore``.
        """
        request = self._request(options)
        pick = self._networks(options, request)
        kind = None if options.format is None else format_named(options.format)
        shown = _Views(folder / VIEWS)

        def checked(file: PictureFile) -> Networks:
            self._check_picture(file)
            shown.formats = (file.format, (kind or usual_format(file)).name)
            networks = pick if isinstance(pick, Networks) else pick(file)
            self._check_result(file, networks, request)
            return networks

        settings = Settings(checked, request, options.quality)
        streams = Streams(io.BytesIO(), io.BytesIO())  # of which nothing is used
        # In the picture's folder, so that errors name the file as its owner does.
        with (
            contextlib.chdir(folder / PICTURE),
            hardware.large_pictures(),
            warnings.catch_warnings(record=True) as raised,
        ):
            warnings.simplefilter("always")
            warnings.filterwarnings("ignore", module="PIL")
            run = FilesRun([Source(Path(name))], Output(f"../{RESULTS}", True, kind), settings, streams)
            (outcome,) = run.run(lambda _, part: progress(part), shown.keep if views else None)
        if outcome.report is None:
            raise type(outcome.error or ImageError())(str(outcome.error).replace(f"../{RESULTS}/", ""))
        report = {key: list(each) if isinstance(each, tuple) else each for key, each in vars(outcome.report).items()}
        result = Path(str(outcome.report.output)).name
        files = {"picture": _file(f"{PICTURE}/{name}", shown.formats[0])}
        files["result"] = _file(f"{RESULTS}/{result}", shown.formats[1])
        files |= {"before": files["picture"], "after": files["result"]} | shown.files
        notes = [*outcome.report.notes, *(printable(each.message) for each in raised)]
        return report | {"output": result, "notes": notes, "files": files}

    def _request(self, options: Options) -> Request:
        size = None if options.size is None else tuple(int(side) for side in reversed(options.size.split("x")))
        geometry = Geometry(options.scale, size, options.width, options.height, options.long_edge)  # type: ignore[arg-type]  # a pair
        conditions = {} if options.sigma is None else {"sigma": options.sigma}
        return Request(geometry, self.settings.max_memory, conditions=conditions, strength=options.strength)

    def _networks(self, options: Options, request: Request) -> Networks | ChosenNetworks:
        if not options.model:
            check_request((), request)
            return ChosenNetworks(self._load, resizes=request.geometry.given, sigma=sigma_alone(request.conditions))
        networks = named_networks(options.model, self._load)
        check_request(networks.restorers, request)
        return networks

    def _check_picture(self, file: PictureFile) -> None:
        """Refuse a picture by its headers, before it is decoded.

        Raises:
            TooLarge: it has too many pixels, or too many channels for that many pixels.
        """
        sizes = [file.shape(number)[1:] for number in file.pages]
        layers = [math.ceil(max(4, file.bands(number)) / 4) for number in file.pages]
        self._check_pixels(
            file.name,
            "a picture",
            [(height, width * layer) for (height, width), layer in zip(sizes, layers, strict=True)],
        )

    def _check_result(self, file: PictureFile, networks: Networks, request: Request) -> None:
        """Refuse a result by its size, and what networks in a row make on the way to it.

        Raises:
            TooLarge: it has too many pixels.
        """
        pages = [chain_sizes(networks.restorers, request.geometry, *file.shape(number)[1:]) for number in file.pages]
        for stage in zip(*pages, strict=True):
            self._check_pixels(file.name, "a result", list(stage))

    def _check_pixels(self, name: str, what: str, sizes: list[tuple[int, int]]) -> None:
        pixels = sum(height * width for height, width in sizes)
        if pixels > self.settings.pixels:
            raise TooLarge(
                f"{name}: got {what} of {pixels / 1e6:.1f} megapixels in all, expected at most "
                f"{self.settings.pixels / 1e6:.1f}; use a smaller one, or toolbox restore, which has no such limit"
            )


@dataclass
class _Views:
    """PNG files of the first page, before and after, for a browser that does not show the files themselves."""

    folder: Path
    formats: tuple[str, str] = ("", "")  # of the picture and of its result
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    looked: bool = False

    def keep(self, before: Page, after: Page) -> None:
        """Write what is needed of the first page, and leave the others."""
        for name, page, kind in zip(("before", "after"), (before, after), self.formats, strict=True):
            if not self.looked and kind not in SHOWN:
                self.folder.mkdir(exist_ok=True)
                image_of(page).save(self.folder / f"{name}.png", compress_level=1)
                self.files[name] = _file(f"{VIEWS}/{name}.png", "PNG")
        self.looked = True


def _file(path: str, kind: str) -> dict[str, str]:
    """A file of a job, for the server: its path in the job's folder, and its media type."""
    return {"path": path, "media_type": Image.MIME.get(SAME.get(kind, kind), "application/octet-stream")}
