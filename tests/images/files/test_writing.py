"""Writing picture files: at their depth, read again by other libraries, and whole or not at all."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import toolbox
from tests.images.samples import first_page, identity, noise
from toolbox.errors import ImageError
from toolbox.images.files.formats import KNOWN, CannotHold, check_writable, format_named, format_of, suffix_of
from toolbox.images.files.page import Page, StreamedPage
from toolbox.images.files.writing import kept_whole, write_pages
from toolbox.pixels import eight_bits


def written(pixels: Any, name: str, **more: Any) -> bytes:
    buffer = io.BytesIO()
    write_pages(buffer, [Page(pixels)], format_named(name), **more)
    return buffer.getvalue()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([0, 2, 3, 4]),
    st.sampled_from([np.uint8, np.uint16]),
    st.integers(0, 9),
)
def test_png_and_tiff_hold_every_value(height: int, width: int, channels: int, dtype: Any, seed: int) -> None:
    pixels = noise(height, width, *([channels] if channels else []), dtype=dtype, seed=seed)
    assert np.array_equal(imagecodecs.png_decode(written(pixels, "png")).reshape(pixels.shape), pixels)
    with tifffile.TiffFile(io.BytesIO(written(pixels, "tiff"))) as file:
        page = file.pages.first
        assert np.array_equal(page.asarray().reshape(pixels.shape), pixels)
        assert [int(kind) for kind in page.extrasamples] == ([2] if channels in (2, 4) else [])
        assert page.photometric == (2 if channels > 2 else 1)


def test_a_large_tiff_is_written_in_strips() -> None:
    pixels = noise(700, 300, 3, dtype=np.uint16)
    data = written(pixels, "tiff")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert len(file.pages.first.dataoffsets) > 3
        assert np.array_equal(file.asarray(), pixels)
    with Image.open(io.BytesIO(data)) as picture:  # which cuts it to its upper 8 bits
        assert np.array_equal(np.asarray(picture), pixels >> 8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("cuts", [[1], [299], [1, 2, 250], list(range(1, 300))], ids=len)
def test_a_tiff_is_the_same_whatever_rows_come_at_once(cuts: list[int], dtype: Any) -> None:
    pixels = noise(300, 250, 3, dtype=dtype)
    streamed, at_once = io.BytesIO(), io.BytesIO()
    page = StreamedPage(iter(np.split(pixels, cuts)), pixels.shape)
    assert write_pages(streamed, [page, Page(pixels)], KNOWN["TIFF"]) == []
    write_pages(at_once, [Page(pixels), Page(pixels)], KNOWN["TIFF"])
    assert streamed.getvalue() == at_once.getvalue()


def test_rows_are_written_before_the_next_come() -> None:
    file, pixels, sizes = io.BytesIO(), noise(400, 500, 3), list[int]()

    def strips() -> Iterator[Any]:
        for top in range(0, 400, 200):
            sizes.append(len(file.getvalue()))
            yield pixels[top : top + 200]

    write_pages(file, [StreamedPage(strips(), pixels.shape)], KNOWN["TIFF"])
    assert sizes[1] - sizes[0] > 200 * 500  # which noise does not compress to


@pytest.mark.parametrize(("name", "shape"), [("PNG", (30, 20, 4)), ("JPEG", (30, 20)), ("WEBP", (30, 20, 3))])
def test_another_format_gets_all_rows(name: str, shape: tuple[int, ...]) -> None:
    pixels = noise(*shape)
    streamed, at_once = io.BytesIO(), io.BytesIO()
    write_pages(streamed, [StreamedPage(iter(np.split(pixels, [7, 8])), pixels.shape)], KNOWN[name])
    write_pages(at_once, [Page(pixels)], KNOWN[name])
    assert streamed.getvalue() == at_once.getvalue()


@pytest.mark.parametrize("name", ["jpeg", "webp", "bmp", "avif"])
def test_where_a_format_has_eight_bits_it_is_said(name: str) -> None:
    buffer = io.BytesIO()
    pixels = noise(9, 8, 3, dtype=np.uint16)
    notes = write_pages(buffer, [Page(pixels)], format_named(name))
    assert notes == [f"reduced 16 bits per channel to 8, the most that {name.upper()} holds"]
    if name == "bmp":
        with Image.open(buffer) as picture:
            assert np.array_equal(np.asarray(picture), np.round(pixels / 257))


def test_eight_bits_are_the_nearest() -> None:
    every = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(eight_bits(every), np.round(every / 257))


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_quality_is_what_is_asked_for(name: str) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    pixels = np.stack((smooth, smooth.T, 255 - smooth), -1) + noise(64, 64, 3) // 16
    sizes = [len(written(pixels, name, quality=quality)) for quality in (10, 60, 100)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2] / 2
    assert len(written(pixels, name)) == len(written(pixels, name, quality=KNOWN[name.upper()].quality))


def test_pages_go_into_what_holds_several() -> None:
    pages = [Page(noise(5, 6, dtype=np.uint16)), Page(noise(4, 3, 3)), Page(noise(7, 7, 4, dtype=np.uint16))]
    buffer = io.BytesIO()
    write_pages(buffer, iter(pages), format_named("tiff"))
    buffer.seek(0)
    with tifffile.TiffFile(buffer) as file:
        assert all(np.array_equal(got.asarray(), page.pixels) for got, page in zip(file.pages, pages, strict=True))
    with Image.open(buffer) as picture:
        assert getattr(picture, "n_frames", 1) == 3
    for name in ("png", "jpeg", "bmp"):
        with pytest.raises(CannotHold, match=rf"^got several pages, but {name.upper()} holds only one; write a TIFF$"):
            write_pages(io.BytesIO(), [Page(noise(4, 3, 3)), Page(noise(4, 3, 3))], format_named(name))


def frames_of(path: Path) -> list[tuple[float, Any]]:
    with Image.open(path) as picture:
        frames = []
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            picture.load()
            frames.append((picture.info["duration"], np.asarray(picture.convert("RGBA"))))
        return frames


@pytest.mark.parametrize("target", ["webp", "png", "gif", "avif"])
@pytest.mark.parametrize("source", ["webp", "png", "gif"])
def test_an_animation_is_restored_frame_by_frame(source: str, target: str, tmp_path: Path) -> None:
    before, after = tmp_path / f"in.{source}", tmp_path / f"out.{target}"
    colors = ((200, 40, 30, 255), (40, 200, 60, 255), (30, 60, 200, 255))
    frames = [Image.new("RGBA", (12, 9), color) for color in colors]
    lossless: dict[str, Any] = {"lossless": True} if source == "webp" else {}
    frames[0].save(before, save_all=True, append_images=frames[1:], duration=[100, 200, 300], loop=3, **lossless)
    toolbox.restore(before, identity(), scale=2, output=after)
    got = frames_of(after)
    assert [milliseconds for milliseconds, _ in got] == [100, 200, 300]
    for (_, frame), color in zip(got, colors, strict=True):
        assert frame.shape == (18, 24, 4)
        assert np.abs(frame.astype(int) - color).max() <= 4
    if target != "avif":  # Pillow writes no number of times
        with Image.open(after) as picture:
            assert picture.info["loop"] == 3


def test_an_animation_needs_a_format_that_moves(tmp_path: Path) -> None:
    before = tmp_path / "in.gif"
    Image.new("L", (5, 5)).save(before, save_all=True, append_images=[Image.new("L", (5, 5), 200)], duration=50)
    with pytest.raises(ImageError, match=r"out\.jpg: cannot be written: got 2 frames, but JPEG"):
        toolbox.restore(before, identity(), output=tmp_path / "out.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["in.gif"]


def test_an_array_is_written_as_deep_as_it_is(tmp_path: Path) -> None:
    for name in ("it.png", "it.tif"):
        values = noise(5, 4, 3, dtype=np.uint16)
        toolbox.restore(values, identity(), output=tmp_path / name)
        assert np.array_equal(first_page(tmp_path / name).pixels, values)
        toolbox.restore(values / 65535, identity(), output=tmp_path / name)
        assert np.array_equal(first_page(tmp_path / name).pixels, values)


# Formats.


def test_formats_have_names_and_suffixes() -> None:
    assert format_named("jpg") is format_named("JPEG") is format_of(Path("a.JPEG")) is KNOWN["JPEG"]
    assert suffix_of(format_named("tif")) == ".tif"
    for name in ("png", "jpeg", "tiff", "webp", "bmp", "avif", "gif", "jp2", "tga"):
        assert format_of(Path("a").with_suffix(suffix_of(format_named(name)))) == format_named(name)


@pytest.mark.parametrize("name", ["pdf", "eps", "xyz", "", "psd"])
def test_a_format_that_cannot_be_written_is_refused(name: str) -> None:
    with pytest.raises(ImageError, match=rf"^got the format '{name}', expected one that can be written, such as png, "):
        format_named(name)


# A disk without space.


@pytest.fixture
def full(tmp_path: Path) -> Any:
    """A folder on a disk of 64 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if mount is None or unmount is None:
        pytest.skip("there is no command to mount a small disk")
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs"]
    if subprocess.run([mount, *options, folder], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    yield folder
    subprocess.run([unmount, folder], check=True)


@pytest.mark.parametrize("name", ["it.png", "it.tif", "it.jpg", "it.webp", "it.bmp"])
def test_a_full_disk_leaves_the_old_file(name: str, full: Path) -> None:
    target = full / name
    target.write_bytes(b"the old one")
    source = noise(500, 400, 3)
    with pytest.raises(ImageError, match=rf"{name}: cannot be written: "):
        toolbox.restore(source, identity(), output=target)
    assert target.read_bytes() == b"the old one"
    assert os.listdir(full) == [name]  # noqa: PTH208  # names
    toolbox.restore(noise(20, 20), identity(), output=target)
    assert first_page(target).pixels.shape[:2] == (20, 20)


def test_a_name_as_long_as_a_name_may_be(tmp_path: Path) -> None:
    for name in ("x" * 251 + ".png", "ä" * 125 + ".png"):
        check_writable(tmp_path / name)
        with kept_whole(tmp_path / name) as file:
            write_pages(file, [Page(noise(3, 3))], format_named("png"))
        assert (tmp_path / name).exists()
