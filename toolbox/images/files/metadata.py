"""The metadata of a picture file, adapted for the restored picture."""

from __future__ import annotations

import dataclasses
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image

ORIENTATION = ExifTags.Base.Orientation
SIDES: Mapping[int, int] = {  # EXIF has each twice: the side of the picture that a tag states
    ExifTags.Base.ImageWidth: 1,
    ExifTags.Base.ImageLength: 0,
    ExifTags.Base.ExifImageWidth: 1,
    ExifTags.Base.ExifImageHeight: 0,
}
# Those tags of a TIFF that EXIF has too. The others describe the storage of its pixels.
DESCRIPTIVE = (
    ExifTags.Base.DocumentName,
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.PageName,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
)
ICC_TAG, XMP_TAG = 34675, 700
FORMATS = {3: "H", 4: "I"}  # EXIF's types of whole numbers: SHORT and LONG


@dataclass(frozen=True)
class Metadata:
    """Each kind of metadata as in the file; empty if the file has none."""

    exif: bytes = b""  # a TIFF structure, without the prefix that JPEG puts before it
    xmp: bytes = b""
    icc: bytes = b""
    dpi: tuple[float, float] | None = None  # (horizontal, vertical)

    def kinds(self) -> set[str]:
        """The names of the kinds that are present."""
        return {field.name for field in dataclasses.fields(self) if getattr(self, field.name)}

    def upright(self, turned: bool) -> Metadata:
        """The metadata of the upright picture, so that no other program rotates it again.

        Args:
            turned: whether rows became columns.
        """
        xmp = re.sub(rb'(tiff:Orientation(?:="|>))[1-8]', rb"\g<1>1", self.xmp)
        dpi = self.dpi[::-1] if self.dpi and turned else self.dpi
        return dataclasses.replace(self, exif=_settled(self.exif, None), xmp=xmp, dpi=dpi)

    def sized(self, size: tuple[int, int]) -> Metadata:
        """The metadata of the picture in another (height, width)."""
        return dataclasses.replace(self, exif=_settled(self.exif, size))


def metadata_of(image: Image.Image) -> Metadata:
    """The metadata of a picture that Pillow opened; load a PNG first, because its chunks may come last."""
    info = image.info
    if image.format == "TIFF":
        return metadata_of_tiff(image.getexif())
    exif = info.get("exif") or (image.getexif().tobytes() if image.getexif() else b"")
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    dpi = info.get("dpi") if image.format != "PCX" else None  # whose value is rarely meaningful
    if dpi and not info.get("jfif_unit", 1) and ExifTags.Base.XResolution not in image.getexif():
        dpi = None  # Pillow's own guess
    return Metadata(
        exif=exif.removeprefix(b"Exif\0\0"),
        xmp=xmp.encode() if isinstance(xmp, str) else xmp,
        icc=info.get("icc_profile") or b"",
        dpi=_positive(dpi) if dpi else None,
    )


def metadata_of_tiff(tags: Image.Exif) -> Metadata:
    """The metadata of a page of a TIFF file, whose own tags take the place of EXIF."""
    kept = Image.Exif()
    for tag in DESCRIPTIVE:
        if tag in tags:
            kept[tag] = tags[tag]
    for pointer in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        more: dict[int, Any] = dict(tags.get_ifd(pointer))
        if ExifTags.IFD.Interop in more:
            more[ExifTags.IFD.Interop] = dict(tags.get_ifd(ExifTags.IFD.Interop))
        if more:
            kept[pointer] = more
    xmp = tags.get(XMP_TAG, b"")
    return Metadata(
        exif=kept.tobytes().removeprefix(b"Exif\0\0") if kept else b"",
        xmp=xmp if isinstance(xmp, bytes) else bytes(xmp),
        icc=tags.get(ICC_TAG, b""),
        dpi=_tiff_dpi(tags),
    )


def _tiff_dpi(tags: Mapping[int, Any]) -> tuple[float, float] | None:
    unit = {2: 1.0, 3: 2.54}.get(tags.get(ExifTags.Base.ResolutionUnit, 2))
    across, down = tags.get(ExifTags.Base.XResolution), tags.get(ExifTags.Base.YResolution)
    return _positive((across * unit, down * unit)) if unit and across and down else None


def _positive(dpi: tuple[Any, Any]) -> tuple[float, float] | None:
    try:
        across, down = (float(each) for each in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def _settled(exif: bytes, size: tuple[int, int] | None) -> bytes:
    """The EXIF of an upright picture of that (height, width), without the old thumbnail.

    It changes the few values in place, since the notes of a maker hold offsets that break when EXIF is
    written anew. Without a size, sizes stay. Damaged EXIF becomes empty.
    """
    data = bytearray(exif)
    try:
        order = {b"II": "<", b"MM": ">"}[bytes(data[:2])]
        (start,) = struct.unpack_from(order + "I", data, 4)
        entries = list(_entries(data, order, start))
        struct.pack_into(order + "I", data, start + 2 + 12 * len(entries), 0)  # the offset of the thumbnail
        for tag, _, position in tuple(entries):
            if tag == ExifTags.IFD.Exif:
                entries += _entries(data, order, struct.unpack_from(order + "I", data, position)[0])
        for tag, kind, position in entries:
            value = 1 if tag == ORIENTATION else size[SIDES[tag]] if size is not None and tag in SIDES else None
            if value is not None and kind in FORMATS and value < 2 ** (8 * struct.calcsize(FORMATS[kind])):
                struct.pack_into(order + FORMATS[kind], data, position, value)
    except (KeyError, struct.error):
        return b""
    return bytes(data)


def _entries(data: bytearray, order: str, start: int) -> Iterator[tuple[int, int, int]]:
    """(tag, type, position of the value) of each entry of a directory."""
    (count,) = struct.unpack_from(order + "H", data, start)
    for position in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", data, position)
        yield tag, kind, position + 8
