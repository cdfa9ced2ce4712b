"""Write picture files completely or not at all, with everything that the format can hold."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import imagecodecs
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from toolbox.errors import ImageError
from toolbox.files import written_beside
from toolbox.images.files.formats import CannotHold, Format
from toolbox.images.files.metadata import Metadata
from toolbox.images.files.page import Page, StreamedPage
from toolbox.images.files.tiff import TiffWriter
from toolbox.pixels import eight_bits

PNG_START = 8 + 25  # its signature and first chunk; the chunks about pixels follow
SEGMENT = 65_000  # largest EXIF or XMP of a JPEG, in bytes


@contextmanager
def kept_whole(target: Path) -> Iterator[IO[bytes]]:
    """Open a file that becomes ``target`` once everything is written.

    Raises:
        ImageError: it cannot be written, or the format cannot hold the picture; what was there is untouched.
    """
    with unwritable(str(target)), written_beside(target) as partial, partial.open("w+b") as file:
        yield file


@contextmanager
def unwritable(name: str) -> Iterator[None]:
    """Turn every error of writing into an ImageError that names the file."""
    try:
        yield
    except CannotHold as error:
        raise ImageError(f"{name}: cannot be written: {error}") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be written: {getattr(error, 'strerror', None) or error}") from None


def write_pages(
    file: IO[bytes],
    pages: Iterable[Page | StreamedPage],
    kind: Format,
    quality: int | None = None,
    durations: Sequence[float] = (),
    loop: int | None = None,
) -> list[str]:
    """Write pages into an open, empty file.

    Args:
        file: must be seekable.
        pages: taken one by one.
        kind: the format.
        quality: 1 to 100, for formats with loss; by default the format's own.
        durations: milliseconds of each frame, if the pages are those of an animation.
        loop: the number of times to show an animation; 0 means forever, None once.

    Returns:
        Sentences about data that the format could not hold.

    Raises:
        CannotHold: the format cannot hold the pages.
    """
    notes: dict[str, None] = {}  # in order, each once
    if kind.name == "TIFF":
        writer = TiffWriter(file)
        for page in pages:
            writer.write(page)
        return []
    fitting = (_fitted(page if isinstance(page, Page) else page.whole(), kind, notes) for page in pages)
    first = next(fitting)
    if durations:
        _write_animation(file, first, fitting, kind, quality, durations, loop)
    elif kind.name == "PNG":
        file.write(_png(first))
    else:
        _save(file, first, kind, quality)
    if next(fitting, None) is not None:
        raise CannotHold(f"got several pages, but {kind.name} holds only one; write a TIFF")
    return list(notes)


def _fitted(page: Page, kind: Format, notes: dict[str, None]) -> Page:
    """The page as the format can hold it."""
    if page.bands is not None and kind.name != "TIFF":
        raise CannotHold(f"{page.bands.shape[2]} channels, which {kind.name} does not hold; write TIFF")
    if page.has_alpha and not kind.alpha:
        raise CannotHold(f"{kind.name} holds no transparency; write PNG, TIFF or WebP")
    pixels = page.pixels
    if page.deep and not kind.deep:
        pixels = eight_bits(pixels)
        notes[f"reduced 16 bits per channel to 8, the most that {kind.name} holds"] = None
    left_out = page.metadata.kinds() - kind.metadata
    for name in ("exif", "xmp"):
        if kind.name == "JPEG" and len(getattr(page.metadata, name)) > SEGMENT:
            left_out.add(name)
    if left_out:
        names = " and ".join(sorted(name.upper() for name in left_out))
        notes[f"left out {names}, which {kind.name} cannot hold"] = None
    kept = {name: value for name, value in vars(page.metadata).items() if name not in left_out}
    return Page(pixels, Metadata(**kept), bands=page.bands)


def _png(page: Page) -> bytes:
    """PNG at any depth: Pillow would cut RGB to 8 bits."""
    data: bytes = bytes(imagecodecs.png_encode(np.ascontiguousarray(page.pixels), level=6))
    metadata, chunks = page.metadata, b""
    if metadata.icc:
        chunks += _chunk(b"iCCP", b"ICC\0\0" + zlib.compress(metadata.icc))
    if metadata.dpi:
        across, down = (round(each / 0.0254) for each in metadata.dpi)
        chunks += _chunk(b"pHYs", across.to_bytes(4, "big") + down.to_bytes(4, "big") + b"\1")
    if metadata.exif:
        chunks += _chunk(b"eXIf", metadata.exif)
    if metadata.xmp:
        chunks += _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
    return data[:PNG_START] + chunks + data[PNG_START:]


def _chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


def _save(file: IO[bytes], page: Page, kind: Format, quality: int | None, **more: Any) -> None:
    """Write a page with Pillow."""
    options: dict[str, Any] = {}
    quality = quality or kind.quality
    if quality is not None and kind.quality is not None:
        options["quality"] = quality
        if kind.name == "JPEG" and quality >= 90:
            options["subsampling"] = 0
    metadata = page.metadata
    if metadata.exif:
        options["exif"] = b"Exif\0\0" + metadata.exif
    if metadata.xmp and kind.name == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace"))
    elif metadata.xmp:
        options["xmp"] = metadata.xmp
    if metadata.icc:
        options["icc_profile"] = metadata.icc
    if metadata.dpi:
        options["dpi"] = metadata.dpi
    try:
        Image.fromarray(page.pixels).save(file, kind.name, **options, **more)
    except (OSError, ImageError):
        raise
    # Encoders raise all kinds of errors for pictures that their format cannot hold.
    except Exception as error:
        raise CannotHold(str(error)) from None


def _write_animation(
    file: IO[bytes],
    first: Page,
    others: Iterator[Page],
    kind: Format,
    quality: int | None,
    durations: Sequence[float],
    loop: int | None,
) -> None:
    if not kind.pages:
        raise CannotHold(f"got {len(durations)} frames, but {kind.name} holds only one; write WebP or GIF")
    options: dict[str, Any] = {"disposal": 2} if kind.name == "GIF" else {"loop": 1}  # GIFs without a loop: once
    if loop is not None:
        options["loop"] = loop
    frames = [Image.fromarray(page.pixels) for page in others]  # a list, because Pillow reads them more than once
    _save(
        file,
        first,
        kind,
        quality,
        save_all=True,
        append_images=frames,
        duration=[round(each) for each in durations],
        **options,
    )
