"""Reading picture files at their own depth, whatever their layout, and page by page."""

from __future__ import annotations

import io
import os
import socket
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps
from skimage.color import lab2rgb

from tests.images.samples import SRGB, XMP, Array, cmyk_profile, exif, first_page, noise
from toolbox.errors import ImageError
from toolbox.images.files.picture import read_picture
from toolbox.images.files.reading import opened

DEEP = noise(7, 9, 4, dtype=np.uint16)
GRAY, WITH_ALPHA, RGB = DEEP[..., 0], DEEP[..., :2], DEEP[..., :3]

# Layouts that Pillow cuts to 8 bits, misreads, or does not read at all: each is what tifffile wrote.
LAYOUTS: dict[str, tuple[Array, Array, dict[str, Any]]] = {
    "gray": (GRAY, GRAY, {}),
    "white-is-zero": (65535 - GRAY, GRAY, {"photometric": "miniswhite"}),
    "gray-alpha": (WITH_ALPHA, WITH_ALPHA, {"extrasamples": ["unassalpha"], "planarconfig": "contig"}),
    "rgb": (RGB, RGB, {"photometric": "rgb"}),
    "rgba": (DEEP, DEEP, {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "ignored-channel": (DEEP, RGB, {"photometric": "rgb", "extrasamples": ["unspecified"]}),
    "planes": (RGB.transpose(2, 0, 1).copy(), RGB, {"photometric": "rgb", "planarconfig": "separate"}),
    "big-endian": (RGB, RGB, {"photometric": "rgb", "byteorder": ">"}),
    "bigtiff": (RGB, RGB, {"photometric": "rgb", "bigtiff": True}),
    "tiled": (RGB, RGB, {"photometric": "rgb", "tile": (16, 16)}),
    "lzw": (RGB, RGB, {"photometric": "rgb", "compression": "lzw", "predictor": True}),
    "zstd": (RGB, RGB, {"photometric": "rgb", "compression": "zstd"}),
    "8-bit-gray-alpha": (
        (WITH_ALPHA >> 8).astype(np.uint8),
        (WITH_ALPHA >> 8).astype(np.uint8),
        {"photometric": "minisblack", "extrasamples": ["unassalpha"], "planarconfig": "contig"},
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tiff_keeps_every_bit(layout: str, tmp_path: Path) -> None:
    stored, expected, options = LAYOUTS[layout]
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, stored, **{"photometric": "minisblack"} | options)
    page = first_page(path)
    assert page.pixels.dtype == expected.dtype
    assert np.array_equal(page.pixels, expected)
    with opened(path) as file:
        assert file.shape(0) == (1 if expected.ndim == 2 or expected.shape[2] == 2 else 3, 7, 9)


def test_twelve_bits_fill_the_range(tmp_path: Path) -> None:
    values = noise(8, 9, dtype=np.uint16) >> 4
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, values, bitspersample=12, photometric="minisblack")
    expected = np.round(values.astype(np.float64) * 65535 / 4095)
    assert np.array_equal(first_page(path).pixels, expected)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_keeps_sixteen_bits(channels: int, tmp_path: Path) -> None:
    values = DEEP[..., :channels].squeeze()
    path = tmp_path / "it.png"
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(values)))
    assert np.array_equal(first_page(path).pixels, values)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_a_color_that_stands_for_transparency_has_sixteen_bits_too(tmp_path: Path) -> None:
    values, path = RGB.copy(), tmp_path / "it.png"
    values[2, 3] = values[5, 1] = (1, 2, 258)
    values[4, 4] = (1, 2, 259)  # the same in its first 8 bits
    data = imagecodecs.png_encode(np.ascontiguousarray(values))
    path.write_bytes(data[:33] + chunk(b"tRNS", struct.pack(">3H", 1, 2, 258)) + data[33:])
    pixels = first_page(path).pixels
    assert np.array_equal(pixels[..., :3], values)
    assert {tuple(each) for each in np.argwhere(pixels[..., 3] == 0).tolist()} == {(2, 3), (5, 1)}


def test_other_formats_with_sixteen_bits_keep_them_too(tmp_path: Path) -> None:
    files = {
        "it.ppm": b"P6 9 7 65535\n" + RGB.astype(">u2").tobytes(),
        "it.pgm": b"P5 9 7 65535\n" + GRAY.astype(">u2").tobytes(),
        "it.jp2": imagecodecs.jpeg2k_encode(RGB, level=0, reversible=True),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert np.array_equal(first_page(tmp_path / name).pixels, GRAY if name == "it.pgm" else RGB), name
    (tmp_path / "it.avif").write_bytes(imagecodecs.avif_encode(RGB >> 6, bitspersample=10, level=100))
    pixels = first_page(tmp_path / "it.avif").pixels
    assert np.abs(pixels.astype(int) - RGB).max() <= 2**8  # 10 bits, and its own color model


def test_what_would_be_cut_to_eight_bits_is_refused(tmp_path: Path) -> None:
    header = struct.pack(">hBBHHHHll", 474, 0, 2, 3, 9, 7, 3, 0, 65535)
    (tmp_path / "it.sgi").write_bytes(header.ljust(512, b"\0") + bytes(2 * 9 * 7 * 3))
    with pytest.raises(ImageError, match=r"it\.sgi: Toolbox does not read SGI with 16 bits per channel; save"):
        first_page(tmp_path / "it.sgi")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colors_that_alpha_was_multiplied_into_are_divided_by_it(dtype: Any, tmp_path: Path) -> None:
    white = np.iinfo(dtype).max
    colors, alpha = noise(7, 9, 3, dtype=dtype), noise(7, 9, 1, dtype=dtype, seed=1)
    alpha[0] = 0
    multiplied = np.round(colors.astype(np.float64) * alpha / white).astype(dtype)
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, np.concatenate((multiplied, alpha), -1), photometric="rgb", extrasamples=["assocalpha"])
    pixels = first_page(path).pixels.astype(np.float64)
    assert np.array_equal(pixels[..., 3:], alpha)
    again = pixels[..., :3] * alpha / white
    assert np.abs(again - multiplied).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_cmyk_with_a_profile_becomes_the_color_that_it_means(dtype: Any, tmp_path: Path) -> None:
    ink, profile = noise(7, 9, 4, dtype=dtype), cmyk_profile()
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, ink, photometric="separated", iccprofile=profile)
    page = first_page(path)
    assert page.notes == ("converted CMYK to RGB",)
    assert page.pixels.dtype == dtype
    assert ImageCms.ImageCmsProfile(io.BytesIO(page.metadata.icc)).profile.xcolor_space.strip() == "RGB"
    eight = Image.fromarray((ink >> 8).astype(np.uint8) if dtype == np.uint16 else ink, "CMYK")
    expected = ImageCms.profileToProfile(
        eight, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    got = page.pixels.astype(np.float64) / (257 if dtype == np.uint16 else 1)
    assert np.abs(got - np.asarray(expected)).max() <= (1 if dtype == np.uint8 else 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("profile", [b"", b"damaged".ljust(16) + b"CMYK" + bytes(200)])
def test_cmyk_without_a_profile_is_taken_as_perfect_inks(profile: bytes, dtype: Any, tmp_path: Path) -> None:
    ink, white = noise(7, 9, 4, dtype=dtype), np.iinfo(dtype).max
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, ink, photometric="separated", iccprofile=profile or None)
    page = first_page(path)
    paper = 1 - ink.astype(np.float64) / white
    assert np.abs(page.pixels - paper[..., :3] * paper[..., 3:] * white).max() <= 1
    assert page.metadata.icc == b""


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lab_becomes_rgb(dtype: Any, tmp_path: Path) -> None:
    # L, a, b of colors that sRGB has; D50 is the white of print.
    lab = np.array([[50, 0, 0], [60, 30, -20], [80, -25, 40], [20, 10, 10], [100, 0, 0], [0, 0, 0]], np.float64)[None]
    if dtype == np.uint8:
        stored = np.concatenate((np.round(lab[..., :1] * 2.55), lab[..., 1:] % 256), -1).astype(np.uint8)
    else:
        stored = np.concatenate((np.round(lab[..., :1] * 655.35), (lab[..., 1:] * 256) % 65536), -1).astype(np.uint16)
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, stored, photometric="cielab")
    page = first_page(path)
    assert page.notes == ("converted Lab to RGB",)
    assert page.pixels.dtype == dtype
    assert page.metadata.icc[36:] == SRGB[36:]  # before that, they are dated
    got = page.pixels[0] / np.iinfo(dtype).max
    expected = lab2rgb(lab)[0]  # with both whites the same, which ICC adapts in another way: colors differ a little
    assert np.abs(got - expected).max() < 0.04
    assert np.abs(got - expected)[[0, 4, 5]].max() < (0.005 if dtype == np.uint8 else 0.0005)  # gray, white and black


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["tif", "png", "jpg"])
def test_a_picture_is_turned_once(orientation: int, kind: str, tmp_path: Path) -> None:
    path, pixels = tmp_path / f"it.{kind}", np.kron(noise(2, 3, 3), np.ones((8, 8, 1), np.uint8))
    if kind == "tif":
        deep = pixels.astype(np.uint16) * 257
        tifffile.imwrite(
            path, deep, photometric="rgb", extratags=[(274, 3, 1, orientation, True)], resolution=(300, 100)
        )
    else:
        Image.fromarray(pixels).save(
            path, exif=b"Exif\0\0" + exif(orientation), dpi=(300, 100), subsampling=0, quality=100
        )
    stored = Image.fromarray(pixels)
    stored.getexif()[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(stored))
    page = first_page(path)
    got = page.pixels / (257 if page.deep else 1)
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= (3 if kind == "jpg" else 0)
    with opened(path) as file:
        assert file.shape(0) == (3, *expected.shape[:2])
    if kind != "tif":
        again = Image.Exif()
        again.load(b"Exif\0\0" + page.metadata.exif)
        assert again[274] == 1
    assert page.metadata.dpi is not None
    across, down = page.metadata.dpi
    assert (across > down) == (orientation < 5)


def test_xmp_does_not_turn_it_again(tmp_path: Path) -> None:
    path = tmp_path / "it.jpg"
    Image.new("RGB", (6, 4)).save(path, exif=b"Exif\0\0" + exif(6), xmp=XMP % 6)
    page = first_page(path)
    assert page.pixels.shape == (6, 4, 3)
    assert page.metadata.xmp == XMP % 1


# Pages.


def test_pages_are_those_that_are_pictures_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "it.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(RGB, photometric="rgb")
        file.write(RGB[::2, ::2].copy(), photometric="rgb", subfiletype=1)  # a thumbnail of it
        file.write((RGB[:3] >> 8).astype(np.uint8), photometric="rgb", subfiletype=2)
        file.write(GRAY, photometric="minisblack")
    with opened(path) as file:
        assert file.pages == (0, 2, 3)
        assert [file.shape(number) for number in file.pages] == [(3, 7, 9), (3, 3, 9), (1, 7, 9)]
        assert [file.page(number).pixels.dtype for number in file.pages] == [np.uint16, np.uint8, np.uint16]
        assert not file.animated


def test_a_photo_with_previews_is_one_picture(tmp_path: Path) -> None:
    path = tmp_path / "it.jpg"
    photo = Image.fromarray(noise(16, 24, 3))
    photo.save(path, "MPO", save_all=True, append_images=[photo.resize((8, 8))])
    with opened(path) as file:
        assert file.format == "MPO"
        assert file.pages == (0,)


def test_a_deep_animation_is_refused(tmp_path: Path) -> None:
    data = imagecodecs.png_encode(np.ascontiguousarray(RGB))
    control = struct.pack(">IIIIIHHBB", 0, 9, 7, 0, 0, 1, 10, 0, 0)
    second = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 1, 9, 7, 0, 0, 1, 10, 0, 0))
    rows = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in RGB))
    start, end = data[:33], data[33:-12]
    frames = chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", control)
    path = tmp_path / "it.png"
    path.write_bytes(start + frames + end + second + chunk(b"fdAT", struct.pack(">I", 2) + rows) + data[-12:])
    with pytest.raises(ImageError, match=r"it\.png: got an animation with more than 8 bits per channel, expected 8$"):
        first_page(path)


# What is no picture.


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.png"))
        for name in ("pipe.png", "s.png"):
            with pytest.raises(ImageError, match=rf"{name}: cannot be read: not a regular file; to read from a pipe"):
                first_page(tmp_path / name)


def test_a_file_that_may_not_be_read_is_refused() -> None:
    with tempfile.TemporaryDirectory() as folder:  # beside pytest's, which are closed to others
        path = Path(folder) / "it.png"
        Image.new("L", (3, 3)).save(path)
        path.chmod(0)
        path.parent.chmod(0o711)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            with pytest.raises(ImageError, match=r"it\.png: cannot be read: Permission denied$"):
                first_page(path)
        finally:
            if root:
                os.seteuid(0)


@pytest.mark.parametrize(("dtype", "kind"), [(np.float32, "32-bit floating-point"), (np.int16, "16-bit signed")])
def test_samples_of_another_kind_are_refused(dtype: Any, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, np.zeros((4, 5, 3), dtype), photometric="rgb")
    with pytest.raises(ImageError, match=rf"it\.tif: got a TIFF of {kind} samples, RGB, expected 8 or 16 bits of"):
        first_page(path)


def test_a_deep_bomb_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, WITH_ALPHA, photometric="minisblack", extrasamples=["unassalpha"], planarconfig="contig")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    with pytest.raises(ImageError, match=r"it\.tif: the picture is too large: Image size \(63 pixels\) exceeds limit"):
        first_page(path)


def test_a_deep_tiff_that_is_cut_off_is_not_filled_with_black(tmp_path: Path) -> None:
    path = tmp_path / "it.tif"
    tifffile.imwrite(path, noise(40, 40, 3, dtype=np.uint16), photometric="rgb", rowsperstrip=8)
    data = path.read_bytes()
    path.write_bytes(data[: int(0.7 * len(data))])
    with pytest.raises(ImageError, match=r"it\.tif: cannot be read: image file is truncated$"):
        first_page(path)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"\xc5\xd0\xd3\xc6" + bytes(60), "EPS"),
        (b"\xd7\xcd\xc6\x9a" + bytes(60), "WMF"),
        (b"SIMPLE  =                    T".ljust(2880), "FITS"),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), "HDF5"),
    ],
)
def test_what_is_no_picture_is_refused_by_name_and_starts_no_program(
    start: bytes, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    for name in ("Popen", "run", "call", "check_call", "check_output"):
        monkeypatch.setattr(subprocess, name, started)
    path = tmp_path / "photo.png"
    path.write_bytes(start)
    with pytest.raises(
        ImageError, match=rf"photo\.png: Toolbox does not read {kind}; export the picture as PNG or TIFF$"
    ):
        read_picture(path)
