"""Odd pictures of every kind, and damaged files of every kind: restored, or refused with one sentence."""

from __future__ import annotations

import io
import itertools
import os
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.images.samples import SRGB, XMP, cmyk_profile, exif, identity, noise
from toolbox.errors import ImageError
from toolbox.images.engine import plan
from toolbox.images.engine.hardware import large_pictures
from toolbox.images.engine.request import Geometry, Request
from toolbox.images.files.reading import opened
from toolbox.images.jobs import find_sources, output_of
from toolbox.images.restore_file import Networks, Settings
from toolbox.images.restore_files import FilesRun, Outcome, Streams

SIZES = ((1, 1), (1, 13), (17, 1), (9, 16))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(pixels: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def odd_pictures() -> Iterator[tuple[str, bytes]]:
    """(name, content), each of another kind."""
    everything = {"exif": b"Exif\0\0" + exif(6), "icc_profile": SRGB, "dpi": (300, 200)}
    for (height, width), mode in itertools.product(SIZES, ("1", "L", "LA", "P", "RGB", "RGBA")):
        image = Image.fromarray(noise(height, width, 4)).convert("RGB" if mode == "P" else mode)
        image = image.quantize(5) if mode == "P" else image
        yield f"{mode}-{height}x{width}.png", saved(image, "PNG")
    for (height, width), channels in itertools.product(SIZES, (1, 2, 3, 4)):
        pixels = noise(height, width, *([channels] if channels > 1 else []), dtype=np.uint16)
        yield f"deep-{channels}-{height}x{width}.png", bytes(imagecodecs.png_encode(pixels))
        kinds = {1: "minisblack", 2: "minisblack", 3: "rgb", 4: "rgb"}
        extra = ["unassalpha"] if channels in (2, 4) else None
        options = {"photometric": kinds[channels], "extrasamples": extra, "planarconfig": "contig"}
        yield f"deep-{channels}-{height}x{width}.tif", tiff(pixels, **options)
    photo = Image.fromarray(noise(9, 16, 3))
    for orientation in range(1, 9):
        yield f"turned-{orientation}.jpg", saved(photo, "JPEG", exif=b"Exif\0\0" + exif(orientation))
        turn = [(274, 3, 1, orientation, True)]
        yield f"turned-{orientation}.tif", tiff(noise(9, 16, 3, dtype=np.uint16), photometric="rgb", extratags=turn)
    yield "everything.jpg", saved(photo, "JPEG", xmp=XMP % 6, **everything)
    yield "everything.png", saved(photo, "PNG", **everything)
    yield "everything.webp", saved(photo, "WEBP", **everything)
    yield "gray.jpg", saved(photo.convert("L"), "JPEG")
    yield "progressive.jpg", saved(photo, "JPEG", progressive=True)
    yield "cmyk.jpg", saved(photo.convert("CMYK"), "JPEG", icc_profile=cmyk_profile())
    yield "cmyk.tif", tiff(noise(9, 16, 4), photometric="separated")
    yield "cmyk-deep.tif", tiff(noise(9, 16, 4, dtype=np.uint16), photometric="separated", iccprofile=cmyk_profile())
    yield "lab.tif", tiff(noise(9, 16, 3), photometric="cielab")
    yield "lab-deep.tif", tiff(noise(9, 16, 3, dtype=np.uint16), photometric="cielab")
    yield "palette-clear.png", saved(photo.quantize(9), "PNG", transparency=3)
    yield "clear.gif", saved(photo.quantize(9), "GIF", transparency=3)
    yield "color-clear.png", saved(photo, "PNG", transparency=photo.getpixel((2, 3)))
    yield "fax.tif", saved(photo.convert("1"), "TIFF", compression="group4")
    yield "jpeg.tif", saved(photo, "TIFF", compression="jpeg")
    yield "lzw.tif", saved(photo, "TIFF", compression="tiff_lzw")
    yield "premultiplied.tif", tiff(noise(9, 16, 4), photometric="rgb", extrasamples=["assocalpha"])
    yield "planes.tif", tiff(noise(3, 9, 16, dtype=np.uint16), photometric="rgb", planarconfig="separate")
    yield "pages.tif", tiff(noise(3, 9, 16, 3, dtype=np.uint16), photometric="rgb")
    yield "moving.gif", saved(photo, "GIF", save_all=True, append_images=[photo.rotate(180)], duration=40, loop=0)
    yield "moving.webp", saved(photo, "WEBP", save_all=True, append_images=[photo.rotate(180)], duration=40)
    yield "moving.png", saved(photo, "PNG", save_all=True, append_images=[photo.rotate(180)], duration=40)
    yield "previews.jpg", saved(photo, "MPO", save_all=True, append_images=[photo.resize((4, 4))])
    for kind in ("BMP", "TGA", "PPM", "PCX", "ICO", "SGI", "QOI", "DDS", "JPEG2000", "AVIF"):
        Image.init()
        if kind in Image.SAVE:
            yield f"{kind}.{'jp2' if kind == 'JPEG2000' else kind.lower()}", saved(photo, kind)
    yield "deep.ppm", b"P6 16 9 65535\n" + noise(9, 16, 3, dtype=np.uint16).tobytes()
    yield "long.png", saved(Image.new("L", (60_000, 10), 90), "PNG")
    yield "high.png", saved(Image.new("L", (10, 60_000), 90), "PNG")


def restored(folder: Path, output: str) -> list[Outcome]:
    texts = [str(folder)]
    out = output_of(output, texts, None)
    settings = Settings(Networks((identity(),), "bicubic"), Request(Geometry(1.5)))
    streams = Streams(io.BytesIO(), io.BytesIO())
    with large_pictures():
        return list(FilesRun(find_sources(texts, True, out).sources, out, settings, streams).run(lambda *_: None))


def test_odd_pictures_are_restored_at_their_depth(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pictures = dict(odd_pictures())
    assert len(pictures) >= 60
    for name, content in pictures.items():
        (folder / name).write_bytes(content)
    outcomes = restored(folder, f"{tmp_path}/out/")
    assert {str(outcome.source): str(outcome.error) for outcome in outcomes if outcome.error} == {}
    assert len(outcomes) == len(pictures)
    for outcome in outcomes:
        assert outcome.report is not None
        assert outcome.source.path is not None
        with opened(outcome.source.path) as before, opened(Path(str(outcome.report.output))) as after:
            assert len(before.pages) == len(after.pages) or before.format in ("GIF", "AVIF")
            old, new = before.page(before.pages[0]), after.page(after.pages[0])
            expected = [int(np.floor(side * 1.5 + 0.5)) for side in old.pixels.shape[:2]]
            assert list(new.pixels.shape[:2]) == expected, outcome.source
            assert new.deep == old.deep, outcome.source
            assert new.has_alpha == old.has_alpha or after.format == "GIF", outcome.source
            assert new.metadata.kinds() >= old.metadata.kinds(), outcome.source
            assert after.shape(after.pages[0])[1:] == new.pixels.shape[:2]


# Damage.

MALFORMED = 400


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut off, with other bits, other bytes in the header, or something inside taken out or put in."""
    data, how = bytearray(content), rng.integers(6)
    if how == 0:
        return content[: int(rng.integers(len(content)))]
    if how == 1:
        for _ in range(int(rng.integers(1, 20))):
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    elif how == 2:
        for _ in range(int(rng.integers(1, 4))):
            data[int(rng.integers(min(len(data), 64)))] = int(rng.choice([0, 1, 127, 128, 255]))
    elif how == 3:
        start = int(rng.integers(len(data)))
        del data[start : start + int(rng.integers(1, 200))]
    elif how == 4:
        start = int(rng.integers(len(data)))
        data[start:start] = rng.bytes(int(rng.integers(1, 50)))
    else:
        data[: int(rng.integers(2, 12))] = rng.bytes(4)  # another kind of file, or none
    return bytes(data)


def absurd_pictures() -> Iterator[tuple[str, bytes]]:
    """Small files that claim to be large."""
    start = saved(Image.new("L", (3, 3)), "PNG")
    sizes = ((2**31 - 1, 2**31 - 1, 8, 2), (60_000, 60_000, 16, 6), (0, 5, 8, 0), (50_000, 1, 8, 2))
    for width, height, depth, color in sizes:
        header = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
        yield f"{width}.png", start[:12] + header + struct.pack(">I", zlib.crc32(header)) + start[33:]
    small = tiff(noise(4, 4, 3, dtype=np.uint16), photometric="rgb", metadata=None)
    for value in (0, 65_000, 2**31, 2**32 - 1):
        data = bytearray(small)
        (count,) = struct.unpack_from("<H", data, 8)
        for position in range(10, 10 + 12 * count, 12):
            if struct.unpack_from("<H", data, position)[0] in (256, 257):
                struct.pack_into("<HII", data, position + 2, 4, 1, value)
        yield f"{value}.tif", bytes(data)
        yield f"{value}.bmp", saved(Image.new("L", (3, 3)), "BMP")[:18] + struct.pack("<II", value, value) + bytes(40)
    yield "bomb.gif", saved(Image.new("L", (3, 3)), "GIF")[:6] + struct.pack("<HH", 65_535, 65_535) + bytes(30)
    yield "loop.tif", small[:4] + struct.pack("<I", 8) + struct.pack("<H", 0) + struct.pack("<I", 8)


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """300 MB, so that what claims to be large is refused, as it is with more memory when it claims more."""
    monkeypatch.setattr(plan, "_memory", lambda _: (0.0, 300e6))


@pytest.mark.filterwarnings("ignore")  # what Pillow warns of in damaged metadata is beside the point
def test_damage_is_refused_with_a_sentence_or_restored(tmp_path: Path) -> None:
    folder, rng = tmp_path / "in", np.random.default_rng(20)
    folder.mkdir()
    whole = [(name, content) for name, content in odd_pictures() if not name.startswith(("long", "high"))]
    for number in range(MALFORMED):
        name, content = whole[int(rng.integers(len(whole)))]
        (folder / f"{number}-{name}").write_bytes(damaged(content, rng))
    for name, content in absurd_pictures():
        (folder / f"absurd-{name}").write_bytes(content)
    for name in ("empty.png", "empty.tif", "empty.jpg"):
        (folder / name).touch()
    (folder / "text.png").write_text("hello, this is text", encoding="utf-8")
    (folder / "link.png").symlink_to("nowhere.png")
    (folder / "circle.png").symlink_to("circle.png")
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()  # noqa: PTH109  # a socket's name is short
        os.chdir(folder)
        server.bind("socket.png")
        os.chdir(here)
        outcomes = restored(folder, f"{tmp_path}/out/")
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    assert len(failed) >= 300
    for outcome in failed:
        error = str(outcome.error)
        assert type(outcome.error) is ImageError, error
        assert outcome.error.__cause__ is None, error  # nothing that nobody had thought of
        assert error.startswith((str(outcome.source), f"{tmp_path}/out/")), error
        assert "\n" not in error
        assert len(error) < 400
    written = {Path(str(outcome.report.output)) for outcome in outcomes if outcome.report is not None}
    assert {path for path in (tmp_path / "out").rglob("*") if path.is_file()} == written
    for path in written:
        with opened(path) as file:
            file.page(file.pages[0])
