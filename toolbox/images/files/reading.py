"""Reading picture files: what the header says first, then page by page, each at the depth it has."""

from __future__ import annotations

import dataclasses
import io
import logging
import stat
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageFile, UnidentifiedImageError

from toolbox.errors import ImageError
from toolbox.images.files.color import cmyk_to_rgb
from toolbox.images.files.deep import TIFF_COLORS, deep_pixels, deep_tiff_page
from toolbox.images.files.formats import READ, refused_name
from toolbox.images.files.metadata import ORIENTATION, metadata_of
from toolbox.images.files.page import TURNS, Page, upright

Array = np.ndarray[Any, Any]

ONE_PICTURE = ("MPO", "PSD", "ICO", "ICNS", "CUR")  # their frames are previews, layers or sizes of one picture
REDUCED, MASK = 1, 4  # bits of TIFF's NewSubfileType: pages that belong to another one
ANIMATIONS = ("GIF", "WEBP", "PNG", "AVIF", "FLI")


class PictureFile:
    """An open file: its name, its format and which of its pages are pictures of their own."""

    def __init__(self, name: str, data: io.BytesIO | Path) -> None:
        self.name = name
        self._data = data
        self._image: ImageFile.ImageFile | None = None
        self._tiff: tifffile.TiffFile | None = None
        self._shapes: dict[int, tuple[int, int, int]] = {}  # a decoded picture says more than its header
        try:
            with faults(name):
                self._open()
                self.pages = self._find_pages()
        except BaseException:
            self.close()
            raise
        self.animated = self.format in ANIMATIONS and len(self.pages) > 1
        self.loop: int | None = self._image.info.get("loop") if self._image else None  # None: shown once

    def _open(self) -> None:
        try:
            self._image = Image.open(self._data, formats=READ)
            self.format = self._image.format or ""
        except UnidentifiedImageError:
            if (kind := refused_name(self._start(16))) is not None:
                raise ImageError(f"a {kind} file, which is not read; export it as PNG or TIFF") from None
            if self._start(4) not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
                raise
            self.format = "TIFF"
        if self.format == "TIFF":
            logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it says, an error does, too
            own = io.BytesIO(self._data.getvalue()) if isinstance(self._data, io.BytesIO) else self._data
            self._tiff = tifffile.TiffFile(own)

    def close(self) -> None:
        if self._image is not None:
            self._image.close()
        if self._tiff is not None:
            self._tiff.close()

    def shape(self, number: int) -> tuple[int, int, int]:
        """(channels without alpha, height, width) of a page, upright, from its header alone."""
        if number not in self._shapes:
            self._shapes[number] = self._shape(number)
        if 0 in self._shapes[number]:
            raise ImageError(f"{self.name}: a damaged picture: it has no pixel")
        return self._shapes[number]

    def _shape(self, number: int) -> tuple[int, int, int]:
        with faults(self.name):
            page = self._deep_page(number)
            if page is not None:
                colors, (height, width) = TIFF_COLORS.get(page.photometric, 3), (page.imagelength, page.imagewidth)
                turned = TURNS.get(int(page.tags.valueof(int(ORIENTATION), 1)), (False,))[0]
            else:
                image = self._seek(number)
                gray = image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16")
                colors, (width, height) = 1 if gray else 3, image.size
                turned = TURNS.get(self._orientation(image), (False,))[0]
        return (1 if colors == 1 else 3, width, height) if turned else (1 if colors == 1 else 3, height, width)

    def page(self, number: int) -> Page:
        """A page, decoded.

        Raises:
            ImageError: it is damaged, or of a kind that would lose something here.
        """
        with faults(self.name):
            deep = self._deep_page(number)
            if deep is not None:
                return deep_tiff_page(deep)
            image = self._seek(number)
            orientation = self._orientation(image)
            decoded = deep_pixels(image, self._bytes)
            image.load()
            metadata, notes = metadata_of(image), tuple[str, ...]()
            if decoded is None:
                decoded, icc, notes = pixels_of(image, metadata.icc)
                metadata = dataclasses.replace(metadata, icc=icc)
            return upright(decoded, orientation, metadata, notes)

    def durations(self) -> list[float]:
        """Milliseconds that each frame of an animation is shown."""
        with faults(self.name):
            durations = []
            for number in self.pages:
                image = self._seek(number)
                image.load()
                durations.append(float(image.info.get("duration", 0) or 0))
            return durations

    def _find_pages(self) -> tuple[int, ...]:
        if self._tiff is not None:
            numbers = range(len(self._tiff.pages))
            kinds = [int(self._tiff.pages[number].aspage().subfiletype) for number in numbers]
            own = tuple(number for number in numbers if not kinds[number] & (REDUCED | MASK))
            return own or (0,)
        count = 1 if self.format in ONE_PICTURE else getattr(self._image, "n_frames", 1)
        return tuple(range(count))

    def _seek(self, number: int) -> ImageFile.ImageFile:
        if self._image is None:
            raise UnidentifiedImageError
        if number != self._image.tell() and self.format not in ONE_PICTURE:
            self._image.seek(number)
        return self._image

    def _deep_page(self, number: int) -> tifffile.TiffPage | None:
        """A TIFF's page that Pillow does not read, or makes 8 bits of."""
        if self._tiff is None:
            return None
        page = self._tiff.pages[number].aspage()
        if self._image is not None and page.bitspersample <= 8 and page.photometric != 8:
            return None
        if page.imagewidth * page.imagelength > 2 * (Image.MAX_IMAGE_PIXELS or 2**62):
            pixels = page.imagewidth * page.imagelength
            raise Image.DecompressionBombError(f"Image size ({pixels} pixels) exceeds limit.")
        return page

    def _orientation(self, image: ImageFile.ImageFile) -> int:
        """Of EXIF or XMP, and without decoding, as Pillow does with a PNG, whose EXIF may come last."""
        if image.format != "PNG" or "exif" in image.info:
            return int(image.getexif().get(ORIENTATION, 1))
        tags, last = Image.Image.getexif(image), _png_chunk(self._data, b"eXIf")
        if last:
            tags = Image.Exif()
            tags.load(last)
        return int(tags.get(ORIENTATION, 1))

    def _start(self, count: int) -> bytes:
        if isinstance(self._data, io.BytesIO):
            return self._data.getbuffer()[:count].tobytes()
        with self._data.open("rb") as file:
            return file.read(count)

    def _bytes(self) -> bytes:
        return self._data.getvalue() if isinstance(self._data, io.BytesIO) else self._data.read_bytes()


@contextmanager
def opened(source: Path | io.BytesIO, name: str | None = None) -> Iterator[PictureFile]:
    """A picture file, of a path or of the bytes of one.

    Raises:
        ImageError: it is missing, is no file, or is no picture in a format that can be read.
    """
    name = name or str(source)
    if isinstance(source, Path):
        with faults(name):
            mode = source.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe that nobody writes to would hang
            raise ImageError(f"{name}: cannot be read: not a file; what comes through a pipe is named -")
    file = PictureFile(name, source)
    try:
        yield file
    finally:
        file.close()


@contextmanager
def faults(name: str) -> Iterator[None]:
    """Whatever a decoder meets in a damaged file is an ImageError that names the file."""
    try:
        yield
    except ImageError as error:
        raise ImageError(str(error) if str(error).startswith(name) else f"{name}: {error}") from None
    except UnidentifiedImageError:
        raise ImageError(f"{name}: not a picture in a format that can be read") from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: refused: {error} Cut it into parts of fewer pixels") from None
    except MemoryError:
        raise ImageError(f"{name}: refused: the machine has not the memory for what its header claims") from None
    except OSError as error:
        raise ImageError(f"{name}: cannot be read: {error.strerror or error}") from None
    # Decoders raise whatever they meet in a damaged file.
    except Exception as error:
        sentence = textwrap.shorten(str(error), 200, placeholder=" ...") or type(error).__name__
        raise ImageError(f"{name}: a damaged picture: {sentence}") from None


def _png_chunk(source: Path | io.BytesIO, name: bytes) -> bytes:
    """The data of a PNG's first chunk of that name, or nothing."""
    with io.BytesIO(source.getvalue()) if isinstance(source, io.BytesIO) else source.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length = int.from_bytes(head[:4], "big")
            if head[4:] == name:
                return file.read(length)
            file.seek(length + 4, io.SEEK_CUR)
    return b""


def pixels_of(image: Image.Image, icc: bytes) -> tuple[Array, bytes, tuple[str, ...]]:
    """Of an image of Pillow's: pixels as a page has them, the ICC profile that they have then, and what was converted.

    Raises:
        ImageError: its range of values is not known.
    """
    if image.mode == "CMYK":
        pixels, icc = cmyk_to_rgb(np.asarray(image), icc)
        return pixels, icc, ("CMYK was converted to RGB",)
    if image.format == "PPM" and image.mode == "I":  # 16 bits, which Pillow has stretched
        return np.asarray(image).astype(np.uint16), icc, ()
    notes = ("the palette was converted to RGB",) if image.mode in ("P", "PA") else ()
    return np.asarray(direct(image)), icc, notes


def direct(image: Image.Image) -> Image.Image:
    """The picture as gray, RGB, either with alpha, or 16-bit gray; others are converted without losing alpha."""
    if image.mode in ("1", "L", "RGB") and image.has_transparency_data:  # one color stands for it
        return image.convert("RGBA" if image.mode == "RGB" else "LA")
    if image.mode in ("L", "RGB", "LA", "RGBA", "I;16"):
        return image
    if image.mode.startswith("I;16"):  # the same in another byte order
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    if image.mode in ("I", "F"):
        raise ImageError(f"got a picture of mode {image.mode!r}, expected 8-bit gray or color, or 16-bit gray or color")
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
