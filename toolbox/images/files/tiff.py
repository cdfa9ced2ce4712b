"""Write TIFF: 8 and 16 bits of gray and RGB with alpha, page by page, with EXIF inside.

Pillow cuts RGB to 8 bits, and tifffile leaves EXIF out. This module uses Pillow's directories of tags.
"""

from __future__ import annotations

import struct
import zlib
from typing import IO

import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from PIL.TiffTags import LONG, SHORT, UNDEFINED

from toolbox.images.files.formats import CannotHold
from toolbox.images.files.metadata import DESCRIPTIVE, ICC_TAG, XMP_TAG, Metadata
from toolbox.images.files.page import Page

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

    def write(self, page: Page) -> None:
        """Add a page, compressed without loss."""
        height, width = page.pixels.shape[:2]
        samples = page.pixels.reshape(height, width, -1) if page.bands is None else page.bands
        channels, bits = samples.shape[2], samples.itemsize * 8
        rows = max(1, STRIP // (width * channels * samples.itemsize))
        strips = [_packed(samples[top : top + rows]) for top in range(0, height, rows)]

        tags = ImageFileDirectory_v2(ORDER)
        _describe(tags, page.metadata)
        tags[ExifTags.Base.ImageWidth], tags[ExifTags.Base.ImageLength] = width, height
        tags[ExifTags.Base.BitsPerSample] = (bits,) * channels
        tags[ExifTags.Base.SampleFormat] = (1,) * channels
        tags[ExifTags.Base.Compression] = ADOBE_DEFLATE
        tags[ExifTags.Base.Predictor] = HORIZONTAL
        tags[ExifTags.Base.PhotometricInterpretation] = 2 if channels > 2 and page.bands is None else 1
        tags[ExifTags.Base.SamplesPerPixel] = channels
        tags[ExifTags.Base.RowsPerStrip] = rows
        tags.tagtype[ExifTags.Base.ExtraSamples] = SHORT
        if page.bands is not None:
            tags[ExifTags.Base.ExtraSamples] = (UNSPECIFIED,) * (channels - 1)
        elif channels in (2, 4):
            tags[ExifTags.Base.ExtraSamples] = UNASSOCIATED
        tags.tagtype[ExifTags.Base.StripOffsets] = tags.tagtype[ExifTags.Base.StripByteCounts] = LONG
        tags[ExifTags.Base.StripByteCounts] = tuple(map(len, strips))
        ends = np.cumsum([0, *map(len, strips)])
        tags[ExifTags.Base.StripOffsets] = tuple(int(end) for end in ends[:-1])  # counted from the end of the tags

        start = self._file.seek(0, 2)
        start += self._file.write(b"\0" * (start % 2))
        directory = tags.tobytes(start)
        if start + len(directory) + ends[-1] >= 2**32:
            raise CannotHold("a TIFF cannot hold more than 4 GB; write PNG")
        self._file.write(directory)
        for strip in strips:
            self._file.write(strip)
        self._file.seek(self._pointer)
        self._file.write(struct.pack("<I", start))
        self._pointer = start + 2 + 12 * len(tags)


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
