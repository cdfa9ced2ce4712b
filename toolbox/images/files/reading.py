"""Read picture files: first the header, then page by page, each at its own depth."""

from __future__ import annotations

import dataclasses
import io
import logging
import stat
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import chain, islice
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageFile, UnidentifiedImageError

from toolbox.errors import ImageError
from toolbox.images.files.color import cmyk_to_rgb
from toolbox.images.files.deep import TIFF_COLORS, bands_of, deep_pixels, deep_tiff_page, may_be_deep
from toolbox.images.files.formats import RAW, READ, Reader, reader_for, refused_name
from toolbox.images.files.metadata import ORIENTATION, metadata_of
from toolbox.images.files.page import TURNS, Page, upright
from toolbox.pixels import Array

ONE_PICTURE = ("MPO", "PSD", "ICO", "ICNS", "CUR")  # their frames are previews, layers or sizes of a single picture
REDUCED, MASK = 1, 4  # bits of TIFF's NewSubfileType, for pages that belong to another page
ANIMATIONS = ("GIF", "WEBP", "PNG", "AVIF", "FLI")
DNG_VERSION, MOSAIC, LINEAR_RAW = 50706, 32803, 34892  # a tag of TIFF, and photometric interpretations
PREVIEWS = 8  # parts of a raw picture to look at
UNSIGNED = ("TGA", "PCX", "ICO", "CUR", "XBM", "FLI", "DIB")  # formats whose first bytes many other files have too
STEP = 2**20  # pixels to copy at a time
SILENCE = logging.NullHandler()


class PictureFile:
    """An open file with its name, its format, and the numbers of its pages that are pictures of their own."""

    def __init__(self, name: str, data: io.BytesIO | Path) -> None:
        self.name = name
        self._data = data
        self._image: ImageFile.ImageFile | None = None
        self._tiff: tifffile.TiffFile | None = None
        self._shapes: dict[int, tuple[int, int, int]] = {}  # from the headers, which decoding adds to
        self._kept: dict[int, Page] = {}
        self.decoding_seconds = 0.0  # of the last page
        try:
            with faults(name):
                self._open()
                self.pages = self._find_pages()
        except BaseException:
            self.close()
            raise
        self.animated = self.format in ANIMATIONS and len(self.pages) > 1
        self.loop: int | None = self._image.info.get("loop") if self._image else None  # None: shown once
        # The quantization tables of a JPEG, by number: 64 steps each, row by row.
        self.tables: dict[int, list[int]] | None = getattr(self._image, "quantization", None) or None

    def _open(self) -> None:
        for talker in ("PIL.TiffImagePlugin", "tifffile"):  # an error says the same
            logging.getLogger(talker).addHandler(SILENCE)
        start = self._start(32)
        kind = refused_name(start)
        if kind == RAW:  # which may look like a TIFF
            raise _refusal(kind)
        self._formats = READ if (reader := reader_for(start)) is None else (_loaded(reader),)
        try:
            self._image = Image.open(self._source(), formats=self._formats)
            self.format = self._image.format or ""
        except UnidentifiedImageError:
            if kind is not None:
                raise _refusal(kind) from None
            if start[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
                raise
            self.format = "TIFF"
        if self.format == "TIFF":
            self._tiff = tifffile.TiffFile(self._source())
            if _is_raw(self._tiff.pages[0].aspage()):
                raise _refusal(RAW)

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
            raise ImageError(f"{self.name}: the picture is damaged: it has no pixels")
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

    def bands(self, number: int) -> int:
        """The channels of a page if some are neither colors nor alpha, else 0, from its header alone."""
        with faults(self.name):
            return 0 if self._tiff is None else bands_of(self._tiff.pages[number].aspage())

    def page(self, number: int, *, keep: bool = False) -> Page:
        """Decode a page, or take the one that was kept.

        Args:
            number: one of ``pages``.
            keep: keep the page for the next call, which then decodes nothing.

        Raises:
            ImageError: the page is damaged, or Toolbox would lose some of its data.
        """
        page = self._kept.pop(number) if number in self._kept else self._decoded(number)
        if keep:
            self._kept[number] = page
        return page

    def keeps(self, number: int) -> bool:
        """Whether a page is decoded already."""
        return number in self._kept

    def itemsize(self, number: int) -> int:
        """The bytes of a decoded value, at most, from the header alone."""
        with faults(self.name):
            page = self._deep_page(number)
            if page is not None:
                return 2 if page.bitspersample > 8 else 1
            return 2 if may_be_deep(self._seek(number)) else 1

    def _decoded(self, number: int) -> Page:
        started = time.perf_counter()
        with faults(self.name):
            page = self._decoded_now(number)
        self.decoding_seconds = time.perf_counter() - started
        return page

    def _decoded_now(self, number: int) -> Page:
        deep = self._deep_page(number)
        if deep is not None:
            return deep_tiff_page(deep)
        image = self._seek(number)
        orientation = self._orientation(image)
        decoded = deep_pixels(image, self.content)
        image.load()
        metadata, notes = metadata_of(image), tuple[str, ...]()
        if decoded is None:
            decoded, icc, notes = pixels_of(image, metadata.icc)
            metadata = dataclasses.replace(metadata, icc=icc)
        if len(self.pages) == 1:
            self._forget_pixels()
        return upright(decoded, orientation, metadata, notes)

    def _forget_pixels(self) -> None:
        """Free the pixels that Pillow holds, of which there is a copy now."""
        if self._image is not None:
            self._image.close()
            self._image = Image.open(self._source(), formats=self._formats)

    def durations(self) -> list[float]:
        """The duration of each frame of an animation, in milliseconds."""
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
        """A page of a TIFF that Pillow does not read or cuts to 8 bits, else None."""
        if self._tiff is None:
            return None
        page = self._tiff.pages[number].aspage()
        if self._image is not None and page.bitspersample <= 8 and page.photometric != 8 and not bands_of(page):
            return None
        if page.imagewidth * page.imagelength > 2 * (Image.MAX_IMAGE_PIXELS or 2**62):
            pixels = page.imagewidth * page.imagelength
            raise Image.DecompressionBombError(f"Image size ({pixels} pixels) exceeds limit.")
        return page

    def _orientation(self, image: ImageFile.ImageFile) -> int:
        """The orientation by EXIF or XMP, without decoding a PNG as Pillow would, whose EXIF may come last."""
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

    def _source(self) -> io.BytesIO | Path:
        """The file for a decoder, which may close it."""
        return io.BytesIO(self._data.getvalue()) if isinstance(self._data, io.BytesIO) else self._data

    def content(self) -> bytes:
        """The bytes of the file."""
        return self._data.getvalue() if isinstance(self._data, io.BytesIO) else self._data.read_bytes()


def is_picture(path: Path) -> bool:
    """Whether a file begins as a picture that Toolbox reads or refuses by name, whatever its suffix."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            start = file.read(32)
        if reader_for(start) is not None or refused_name(start) == RAW:
            return True
        with Image.open(path, formats=[each for each in READ if each not in UNSIGNED]):
            return True
    # Decoders raise all kinds of errors for files of another kind.
    except Exception:
        return False


def _refusal(kind: str) -> ImageError:
    """The error for a kind of file that Toolbox does not read."""
    return ImageError(f"Toolbox does not read {kind}; export the picture as PNG or TIFF")


def _loaded(reader: Reader) -> str:
    """Load the package of a reader, and return the name of its format.

    Raises:
        ImageError: the package is not installed.
    """
    try:
        module = import_module(reader.module)
    except ImportError:
        raise ImageError(
            f"Toolbox reads {reader.name} with an extra package, which is not installed; "
            f"install toolbox-restoration[{reader.extra}]"
        ) from None
    if reader.register is not None and reader.format not in Image.OPEN:
        getattr(module, reader.register)()
    return reader.format


def _is_raw(page: tifffile.TiffPage) -> bool:
    """Whether the first page of a TIFF is that of a raw picture: DNG says so, others hold a mosaic beside a preview."""
    if DNG_VERSION in page.tags:
        return True
    parts = [page, *(part.aspage() for part in islice(page.pages or (), PREVIEWS))]
    return any(int(part.photometric) in (MOSAIC, LINEAR_RAW) for part in parts)


@contextmanager
def opened(source: Path | io.BytesIO, name: str | None = None) -> Iterator[PictureFile]:
    """Open a picture file by its path or its bytes.

    Raises:
        ImageError: it is missing, is no file, or is no picture in a readable format.
    """
    name = name or str(source)
    if isinstance(source, Path):
        with faults(name):
            mode = source.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe without a writer would hang
            raise ImageError(f"{name}: cannot be read: not a regular file; to read from a pipe, use -")
    file = PictureFile(name, source)
    try:
        yield file
    finally:
        file.close()


@contextmanager
def faults(name: str) -> Iterator[None]:
    """Turn every error of a decoder into an ImageError that names the file."""
    try:
        yield
    except ImageError as error:
        raise ImageError(str(error) if str(error).startswith(name) else f"{name}: {error}") from None
    except UnidentifiedImageError:
        raise ImageError(f"{name}: not a picture in a supported format") from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: the picture is too large: {error} Cut it into smaller parts") from None
    except MemoryError:
        raise ImageError(f"{name}: the machine lacks the memory that its header asks for") from None
    except OSError as error:
        raise ImageError(f"{name}: cannot be read: {error.strerror or error}") from None
    # Decoders raise all kinds of errors for damaged files.
    except Exception as error:
        sentence = textwrap.shorten(str(error), 200, placeholder=" ...") or type(error).__name__
        raise ImageError(f"{name}: the picture is damaged: {sentence}") from None


def _png_chunk(source: Path | io.BytesIO, name: bytes) -> bytes:
    """The data of the first chunk of that name in a PNG, or empty bytes."""
    with io.BytesIO(source.getvalue()) if isinstance(source, io.BytesIO) else source.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length = int.from_bytes(head[:4], "big")
            if head[4:] == name:
                return file.read(length)
            file.seek(length + 4, io.SEEK_CUR)
    return b""


def pixels_of(image: Image.Image, icc: bytes) -> tuple[Array, bytes, tuple[str, ...]]:
    """The pixels of a PIL image for a page, their ICC profile, and sentences about conversions.

    Raises:
        ImageError: the range of its values is unknown.
    """
    if image.mode == "CMYK":
        pixels, icc = cmyk_to_rgb(np.asarray(image), icc)
        return pixels, icc, ("converted CMYK to RGB",)
    if image.format == "PPM" and image.mode == "I":  # 16 bits that Pillow stretched
        return np.asarray(image).astype(np.uint16), icc, ()
    notes = ("converted the palette to RGB",) if image.mode in ("P", "PA") else ()
    return _copied(direct(image)), icc, notes


def _copied(image: Image.Image) -> Array:
    """The pixels of a picture, some rows at a time, because Pillow would hold two more copies of all of them."""
    width, height = image.size
    step = max(1, STEP // max(1, width))
    strips = (np.asarray(image.crop((0, top, width, min(top + step, height)))) for top in range(0, height, step))
    if height <= step:
        return next(strips)
    first = next(strips)
    pixels = np.empty((height, *first.shape[1:]), first.dtype)
    for number, strip in enumerate(chain((first,), strips)):
        pixels[number * step : number * step + len(strip)] = strip
    return pixels


def direct(image: Image.Image) -> Image.Image:
    """The picture as gray, RGB, one of them with alpha, or 16-bit gray. Other modes are converted and keep alpha."""
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
