"""Picture files to test with: pixels, profiles and metadata, written by other libraries than the ones under test."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageCms

import toolbox
from toolbox.images.files.page import Page
from toolbox.images.files.reading import opened
from toolbox.restorer import Restorer

Array = np.ndarray[Any, Any]

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d" tiff:Make="Box"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
MAKER_NOTE = b"a maker's own notes, with offsets that only the maker knows"


def identity() -> Restorer:
    """A network that changes nothing where the size stays, and resizes bicubically."""
    return toolbox.build("bicubic", channels=3)


def noise(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> Array:
    """Every value of a type is as likely."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def first_page(path: Path) -> Page:
    """The first page of a file."""
    with opened(path) as file:
        return file.page(file.pages[0])


def exif(orientation: int = 1, size: tuple[int, int] = (5, 4)) -> bytes:
    """EXIF of a camera, with GPS, notes of its maker and a thumbnail; little-endian, without JPEG's prefix."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0132] = "Box", "Camera One", "1998:07:06 05:04:03"
    tags[0x0112] = orientation
    tags[0x8298] = "nobody"
    tags[0x8769] = {
        0x829A: 0.004,
        0x9003: "1998:07:06 05:04:03",
        0x927C: MAKER_NOTE,
        0xA002: size[0],
        0xA003: size[1],
        0x9000: b"0232",
    }
    tags[0x8825] = {1: "N", 2: (48.0, 12.0, 30.5), 3: "E", 4: (16.0, 22.0, 0.0)}
    data = tags.tobytes().removeprefix(b"Exif\0\0")
    return _with_thumbnail(data)


def _with_thumbnail(data: bytes) -> bytes:
    """EXIF with a second directory, which says where a small JPEG is."""
    order = "<" if data[:2] == b"II" else ">"
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(buffer, "JPEG")
    thumbnail = buffer.getvalue()
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    second = len(data) + len(data) % 2
    picture = second + 2 + 3 * 12 + 4
    entries = [(0x0103, 3, 1, 6), (0x0201, 4, 1, picture), (0x0202, 4, 1, len(thumbnail))]
    directory = struct.pack(order + "H", len(entries))
    for tag, kind, number, value in entries:
        packed = struct.pack(order + ("H" if kind == 3 else "I"), value).ljust(4, b"\0")
        directory += struct.pack(order + "HHI", tag, kind, number) + packed
    directory += struct.pack(order + "I", 0)
    linked = bytearray(data.ljust(second, b"\0"))
    struct.pack_into(order + "I", linked, start + 2 + 12 * count, second)
    return bytes(linked) + directory + thumbnail


def tags_of(exif: bytes) -> dict[str, Any]:
    """What tifffile, which knows nothing of Pillow, reads in EXIF: every tag of every directory."""
    with tifffile.TiffFile(io.BytesIO(exif)) as file:
        return _plain({tag.name: tag.value for tag in file.pages.first.tags})


def _plain(tags: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tags.items():
        if isinstance(value, dict):
            found |= {f"{name}.{key}": each for key, each in _plain(value).items()}
        elif "Offset" not in name and "ByteCounts" not in name:
            found[name] = value
    return found


def cmyk_profile() -> bytes:
    """A small ICC profile of a printer: a table of what its sixteen mixtures of full inks look like in Lab."""
    table = bytearray()
    for mixture in range(16):
        c, m, y, k = ((mixture >> shift) & 1 for shift in (3, 2, 1, 0))
        table += bytes((255 - 70 * c - 60 * m - 20 * y - 105 * k, 128 - 30 * c + 60 * m, 128 - 40 * c + 60 * y))
    ramp = bytes(range(256))
    ones = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x10000)
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + struct.pack(">9I", *ones) + 4 * ramp + bytes(table) + 3 * ramp
    white = b"XYZ \0\0\0\0" + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    text = b"text\0\0\0\0" + b"none\0"
    tags = {b"A2B0": lut, b"wtpt": white, b"cprt": text.ljust(16, b"\0")}
    start = 128 + 4 + 12 * len(tags)
    index, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        data = data.ljust(-(-len(data) // 4) * 4, b"\0")
        index += name + struct.pack(">II", start + len(body), len(data))
        body += data
    header = struct.pack(">I4xI", start + len(body), 0x02400000) + b"prtrCMYKLab " + bytes(12) + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return header.ljust(128, b"\0") + index + body
