"""Write TIFF: 8 and 16 bits of gray and RGB with alpha, page by page, with EXIF inside.

Pillow cuts RGB to 8 bits, and tifffile leaves EXIF out. This module uses Pillow's directories of tags.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from itertools import chain
from typing import IO

import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from PIL.TiffTags import LONG, SHORT, UNDEFINED

from toolbox.images.files.formats import CannotHold
from toolbox.images.files.metadata import DESCRIPTIVE, ICC_TAG, XMP_TAG, Metadata
from toolbox.images.files.page import Page, StreamedPage
from toolbox.pixels import Array

STRIP = 2**18  # bytes to compress at once
ADOBE_DEFLATE, HORIZONTAL, UNSPECIFIED, UNASSOCIATED, INCH = 8, 2, 0, 2, 2
ORDER = b"II*\0\0\0\0\0"  # little-endian


class TiffWriter:
    """Writes pages into an open file, one after the other."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._file.write(b"II*\0")
        self._pointer = self._file.tell()  # position of the offset of the next page
        self._file.write(struct.pack("<I", 0))

    def write(self, page: Page | StreamedPage) -> None:
        """Add a page, compressed without loss, its rows before its tags."""
        if isinstance(page, StreamedPage):
            shape, parts, of_bands = page.shape, page.strips, page.of_bands
        else:
            samples = page.pixels if page.bands is None else page.bands
            shape, parts, of_bands = samples.shape, iter((samples,)), page.bands is not None
        (height, width), channels = shape[:2], math.prod(shape[2:])
        first = next(parts)
        rows = max(1, STRIP // (width * channels * first.itemsize))
        starts, counts = [], []
        for strip in _strips(chain((first,), parts), rows):
            data = _packed(strip.reshape(len(strip), width, channels))
            starts.append(self._file.seek(0, 2))
            counts.append(self._file.write(data))

        tags = ImageFileDirectory_v2(ORDER)
        _describe(tags, page.metadata)
        tags[ExifTags.Base.ImageWidth], tags[ExifTags.Base.ImageLength] = width, height
        tags[ExifTags.Base.BitsPerSample] = (8 * first.itemsize,) * channels
        tags[ExifTags.Base.SampleFormat] = (1,) * channels
        tags[ExifTags.Base.Compression] = ADOBE_DEFLATE
        tags[ExifTags.Base.Predictor] = HORIZONTAL
        tags[ExifTags.Base.PhotometricInterpretation] = 2 if channels > 2 and not of_bands else 1
        tags[ExifTags.Base.SamplesPerPixel] = channels
        tags[ExifTags.Base.RowsPerStrip] = rows
        tags.tagtype[ExifTags.Base.ExtraSamples] = SHORT
        if of_bands:
            tags[ExifTags.Base.ExtraSamples] = (UNSPECIFIED,) * (channels - 1)
        elif channels in (2, 4):
            tags[ExifTags.Base.ExtraSamples] = UNASSOCIATED
        tags.tagtype[ExifTags.Base.StripByteCounts] = LONG
        tags[ExifTags.Base.StripByteCounts] = tuple(counts)
        self._write_directory(tags, starts)

    def _write_directory(self, tags: ImageFileDirectory_v2, starts: list[int]) -> None:
        """Write the tags at the end of the file, with the start of each strip."""
        tags.tagtype[ExifTags.Base.StripOffsets] = LONG
        tags[ExifTags.Base.StripOffsets] = (0,) * len(starts)
        start = self._file.seek(0, 2)
        start += self._file.write(b"\0" * (start % 2))
        directory = bytearray(tags.tobytes(start))
        if start + len(directory) >= 2**32:
            raise CannotHold("a TIFF cannot hold more than 4 GB; write PNG")
        # Pillow assumes that the strips follow the tags, so the entry of their starts is written over.
        place = 2 + 12 * sorted(tags).index(ExifTags.Base.StripOffsets) + 8
        if len(starts) > 1:
            place = struct.unpack_from("<I", directory, place)[0] - start
        struct.pack_into(f"<{len(starts)}I", directory, place, *starts)
        self._file.write(directory)
        self._file.seek(self._pointer)
        self._file.write(struct.pack("<I", start))
        self._pointer = start + 2 + 12 * len(tags)


def _strips(parts: Iterator[Array], rows: int) -> Iterator[Array]:
    """The same rows in strips of so many; the last one may have fewer."""
    rest: list[Array] = []
    for part in parts:
        joined = np.concatenate((*rest, part)) if rest else part
        full = len(joined) // rows * rows
        yield from (joined[top : top + rows] for top in range(0, full, rows))
        rest = [joined[full:]] if full < len(joined) else []
    yield from rest


def _describe(tags: ImageFileDirectory_v2, metadata: Metadata) -> None:
    exif = Image.Exif()
    if metadata.exif:
        exif.load(b"Exif\0\0" + metadata.exif)
    for tag in DESCRIPTIVE:
        if tag in exif:
            tags[tag] = exif[tag]
    for pointer in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        more = dict(exif.get_ifd(pointer))
        if ExifTags.IFD.Interop in more:
            more[ExifTags.IFD.Interop] = dict(exif.get_ifd(ExifTags.IFD.Interop))
        if more:
            tags[pointer] = more
    for number, data in ((XMP_TAG, metadata.xmp), (ICC_TAG, metadata.icc)):
        if data:
            tags.tagtype[number] = UNDEFINED
            tags[number] = data
    if metadata.dpi:
        tags[ExifTags.Base.XResolution], tags[ExifTags.Base.YResolution] = metadata.dpi
        tags[ExifTags.Base.ResolutionUnit] = INCH


def _packed(samples: np.ndarray[tuple[int, int, int], np.dtype[np.uint8 | np.uint16]]) -> bytes:
    """Compress rows (H, W, C) as differences to the pixel on the left."""
    differences = samples.copy()
    differences[:, 1:] -= samples[:, :-1]
    return zlib.compress(differences.astype(differences.dtype.newbyteorder("<")).tobytes(), 6)
