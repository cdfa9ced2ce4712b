"""Formats that Pillow reads with another package, and raw pictures, which are refused by name."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import toolbox
from tests.images.samples import identity, noise
from toolbox.errors import ImageError
from toolbox.images.files.picture import read_picture
from toolbox.images.files.reading import is_picture

# 64 x 48 pixels, the left half red and the right half blue, as libheif writes it.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAA"
    "AAAERAAAEAAQAAAAABoQABAAAAAAAAAIYAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/WlwcnAA"
    "AADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkA"
    "AAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAA"
    "AAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEHBpeGkAAAAAAwgICAAAABhpcG1hAAAAAAAAAAEAAQWBAgMFhAAAAI"
    "5tZGF0AAAAgigBrwT4cWTTt/9/f///0mY7L+ypb3yD+17rS/2owv//H4y9py15p/gyVUR/crNgNY4ANhw0931w93nRtWQmJgttfTTfFZT3vVrR"
    "1ogHg3rfFJKWKyyB8sq5n2M3MFCqhFl8wE09CLAxnyo4qqVW4EOxB6kYU2q//RJROD8iJfprxdc="
)


def jxl(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    pytest.importorskip("pillow_jxl")
    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "JXL", lossless=True)
    return memory.getvalue()


def test_heic_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pi_heif")
    (tmp_path / "photo.heic").write_bytes(HEIC)
    pixels = np.asarray(read_picture(tmp_path / "photo.heic")).astype(int)
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels[:, :24] - (200, 40, 40)).max() < 12
    assert np.abs(pixels[:, 40:] - (40, 40, 200)).max() < 12
    toolbox.restore(tmp_path / "photo.heic", identity(), scale=2, output=tmp_path / "out.png")
    assert read_picture(tmp_path / "out.png").size == (128, 96)


def test_jpeg_xl_is_read(tmp_path: Path) -> None:
    pixels = noise(9, 11, 3)
    (tmp_path / "photo.jxl").write_bytes(jxl(pixels))
    assert np.array_equal(np.asarray(read_picture(tmp_path / "photo.jxl")), pixels)


@pytest.mark.parametrize(
    ("start", "module", "sentence"),
    [
        (HEIC, "pi_heif", "HEIC with an extra package, which is not installed; install toolbox-restoration[heic]"),
        (
            b"\xff\x0a" + bytes(30),
            "pillow_jxl",
            "JPEG XL with an extra package, which is not installed; install toolbox-restoration[jxl]",
        ),
    ],
    ids=["heic", "jxl"],
)
def test_a_missing_reader_is_named(
    start: bytes, module: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "it").write_bytes(start)
    with pytest.raises(ImageError) as caught:
        read_picture(tmp_path / "it")
    assert str(caught.value) == f"{tmp_path / 'it'}: Toolbox reads {sentence}"


def dng(path: Path) -> None:
    tifffile.imwrite(path, noise(8, 8, 3), photometric="rgb", extratags=[(50706, 1, 4, (1, 4, 0, 0), True)])


def mosaic_beside_a_preview(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        file.write(noise(8, 8, 3), photometric="rgb", subifds=1)
        file.write(noise(16, 16, dtype=np.uint16), photometric=32803, subfiletype=0)


@pytest.mark.parametrize(
    "start",
    [b"FUJIFILMCCD-RAW 0201", b"II*\0\x10\0\0\0CR\2\0", b"\0\0\0\x18ftypcrx ", b"IIRO\x08\0\0\0", b"FOVb"],
    ids=["raf", "cr2", "cr3", "orf", "x3f"],
)
def test_a_raw_picture_is_refused_by_name(start: bytes, tmp_path: Path) -> None:
    path = tmp_path / "raw.jpg"
    path.write_bytes(start.ljust(64, b"\0"))
    with pytest.raises(ImageError, match=r"raw\.jpg: Toolbox does not read camera RAW; export the picture as PNG or"):
        read_picture(path)
    assert is_picture(path)


@pytest.mark.parametrize("write", [dng, mosaic_beside_a_preview])
def test_a_raw_picture_that_looks_like_a_tiff_is_refused_by_name(write: object, tmp_path: Path) -> None:
    path = tmp_path / "raw.tif"
    assert callable(write)
    write(path)
    with pytest.raises(ImageError, match=r"raw\.tif: Toolbox does not read camera RAW; export"):
        read_picture(path)
