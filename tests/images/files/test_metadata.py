"""What a picture says about itself goes from the old file to the new one: read again by Pillow and by tifffile."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import toolbox
from tests.images.samples import MAKER_NOTE, SRGB, XMP, exif, first_page, identity, noise, tags_of
from toolbox.images.files.metadata import Metadata
from toolbox.images.restore_file import Networks, Settings, restore_file

EVERYTHING = {"exif", "xmp", "icc", "dpi"}
# What each format can hold; of 16 bits only what Pillow does not write.
HELD = {".png": EVERYTHING, ".tif": EVERYTHING, ".jpg": EVERYTHING, ".webp": EVERYTHING - {"dpi"}}


def photo(folder: Path, suffix: str, orientation: int = 1) -> Path:
    """A file with everything, written by Pillow, or for TIFF also by tifffile."""
    path = folder / f"in{suffix}"
    picture, tags = Image.fromarray(noise(4, 5, 3)), b"Exif\0\0" + exif(orientation)
    if suffix == ".tif":
        loaded = Image.Exif()
        loaded.load(tags)
        loaded[700] = XMP % orientation
        picture.save(path, exif=loaded, dpi=(300, 150), icc_profile=SRGB)
    elif suffix == ".png":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", (XMP % orientation).decode())
        picture.save(path, exif=tags, dpi=(300, 150), icc_profile=SRGB, pnginfo=text)
    else:
        picture.save(path, exif=tags, dpi=(300, 150), icc_profile=SRGB, xmp=XMP % orientation)
    return path


@pytest.mark.parametrize("target", HELD)
@pytest.mark.parametrize("source", HELD)
def test_everything_is_carried_from_each_format_to_each(source: str, target: str, tmp_path: Path) -> None:
    before, after = photo(tmp_path, source), tmp_path / f"out{target}"
    toolbox.restore(before, identity(), scale=2, output=after)
    with Image.open(before) as old, Image.open(after) as new:
        old.load()
        new.load()
        assert new.size == (10, 8)
        assert new.info["icc_profile"] == SRGB
        xmp = new.info.get("xmp") or new.info["XML:com.adobe.xmp"].encode()
        assert xmp == XMP % 1
        if "dpi" in HELD[source] & HELD[target]:
            assert new.info["dpi"] == pytest.approx((300, 150), abs=0.02)
        else:
            assert new.info.get("dpi") in (None, (1, 1), (72, 72))  # what Pillow says where there is none
        tags, kept = old.getexif(), new.getexif()
        for tag in (0x010F, 0x0110, 0x0132, 0x8298):
            assert kept[tag] == tags[tag]
        for pointer in (0x8769, 0x8825):
            expected = dict(tags.get_ifd(pointer))
            if pointer == 0x8769:
                expected |= {0xA002: 10, 0xA003: 8}
            assert dict(kept.get_ifd(pointer)) == expected
        assert kept.get_ifd(0x8769)[0x927C] == MAKER_NOTE
        assert kept.get(0x0112, 1) == 1
        assert not kept.get_ifd(1)  # no thumbnail of what it was
    # And read by another library, tag by tag.
    was, now = (tags_of(first_page(path).metadata.exif) for path in (before, after))
    sizes = {name for name in was if name.rpartition(".")[2] in ("PixelXDimension", "PixelYDimension")}
    assert len(sizes) == 2
    others = was.keys() - sizes - {"Orientation"}  # which a TIFF has only where it is not 1
    assert {name: now[name] for name in others} == {name: was[name] for name in others}
    assert sorted(now[name] for name in sizes) == [8, 10]


def test_deep_tiffs_carry_it_too(tmp_path: Path) -> None:
    before = photo(tmp_path, ".tif")
    deep = tmp_path / "deep.tif"
    toolbox.restore(before, identity(), output=deep)
    eight = first_page(before)
    with tifffile.TiffFile(deep) as file:
        page = file.pages.first
        assert page.tags["Make"].value == "Box"
        assert page.tags["ExifTag"].value["DateTimeOriginal"] == "1998:07:06 05:04:03"
        assert page.tags["GPSTag"].value["GPSLatitudeRef"] == "N"
        assert page.tags["XMP"].value == XMP % 1
        assert page.iccprofile == SRGB
        assert np.array_equal(page.asarray(), eight.pixels)


@pytest.mark.parametrize("name", ["out.bmp", "out.gif", "out.tga"])
def test_what_a_format_cannot_hold_is_said(name: str, tmp_path: Path) -> None:
    report = restore_file(photo(tmp_path, ".png"), tmp_path / name, Settings(Networks((identity(),), "bicubic")))
    (note,) = report.notes
    lost = "EXIF and ICC and XMP" if name == "out.bmp" else "DPI and EXIF and ICC and XMP"
    assert note == f"left out {lost}, which {name[4:].upper()} cannot hold"


def test_exif_that_is_too_long_for_a_jpeg_is_said(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x010E] = "x" * 70_000
    path = tmp_path / "in.png"
    Image.new("L", (3, 3)).save(path, exif=tags)
    report = restore_file(path, tmp_path / "out.jpg", Settings(Networks((identity(),), "bicubic")))
    assert report.notes == ("left out EXIF, which JPEG cannot hold",)


def test_only_what_must_change_in_exif_does() -> None:
    before = exif(6, size=(5, 4))
    after = Metadata(exif=before).upright(turned=True).sized((8, 10)).exif
    assert len(after) == len(before)
    changed = [at for at in range(len(before)) if before[at] != after[at]]
    (start,) = struct.unpack_from("<I" if before[:2] == b"II" else ">I", before, 4)
    assert 4 <= len(changed) <= 8  # orientation, width, height, the pointer to the thumbnail
    assert MAKER_NOTE in after
    assert changed[0] > start
    assert Metadata(exif=after).upright(turned=False).sized((8, 10)).exif == after


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 12))
def test_damaged_exif_is_left_out_or_kept_but_never_fails(seed: int, changes: int) -> None:
    rng, data = np.random.default_rng(seed), bytearray(exif(6))
    for _ in range(changes):
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
    cut = bytes(data[: int(rng.integers(len(data) + 1))]) if seed % 2 else bytes(data)
    settled = Metadata(exif=cut).upright(turned=False).sized((70_000, 10)).exif
    assert len(settled) in (0, len(cut))


def test_a_directory_that_points_to_itself_ends() -> None:
    data = bytearray(exif())
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    for position in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from(order + "H", data, position)[0] == 0x8769:
            struct.pack_into(order + "I", data, position + 8, start)
    assert Metadata(exif=bytes(data)).sized((3, 3)).exif
