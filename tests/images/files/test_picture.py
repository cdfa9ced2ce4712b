"""Picture files: every kind is read as what restoring works on, and every fault is a sentence."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from PIL import Image

from toolbox.errors import ImageError
from toolbox.images.files.picture import DIRECT_MODES, check_writable, read_picture, write_picture
from toolbox.images.files.reading import direct

SIZE = (5, 4)  # width, height


def noise(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], *shape), dtype=np.uint8)


def rgba() -> Image.Image:
    return Image.fromarray(noise(4))


def same(picture: Image.Image, expected: Image.Image) -> bool:
    return picture.mode == expected.mode and np.array_equal(np.asarray(picture), np.asarray(expected))


# Reading.


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_gray_and_color_with_and_without_alpha_are_read_as_they_are(mode: str, tmp_path: Path) -> None:
    picture, path = rgba().convert(mode), tmp_path / "it.png"
    picture.save(path)
    assert same(read_picture(path), picture)


def test_sixteen_bit_gray_keeps_its_bits(tmp_path: Path) -> None:
    values = np.arange(20, dtype=np.uint16).reshape(4, 5) * 3001
    for suffix in (".png", ".tif"):
        path = tmp_path / f"it{suffix}"
        Image.fromarray(values).save(path)
        picture = read_picture(path)
        assert picture.mode == "I;16"
        assert np.array_equal(np.asarray(picture), values)


def test_sixteen_bit_gray_in_the_other_byte_order_keeps_its_bits(tmp_path: Path) -> None:
    values, path = np.arange(20, dtype=np.uint16).reshape(4, 5) * 3001, tmp_path / "it.tif"
    Image.frombytes("I;16B", SIZE, values.astype(">u2").tobytes()).save(path)
    picture = read_picture(path)
    assert picture.mode == "I;16"
    assert np.array_equal(np.asarray(picture), values)


def test_black_and_white_becomes_gray(tmp_path: Path) -> None:
    path, bits = tmp_path / "it.png", noise() > 127
    Image.fromarray(bits).save(path)
    picture = read_picture(path)
    assert picture.mode == "L"
    assert np.array_equal(np.asarray(picture), bits * np.uint8(255))


def test_a_palette_becomes_color(tmp_path: Path) -> None:
    path, colors = tmp_path / "it.png", rgba().convert("RGB").quantize(7)
    colors.save(path)
    assert same(read_picture(path), colors.convert("RGB"))


def test_a_palette_with_transparency_keeps_it(tmp_path: Path) -> None:
    path, colors = tmp_path / "it.png", rgba().convert("RGB").quantize(7)
    colors.save(path, transparency=3)
    picture = read_picture(path)
    assert picture.mode == "RGBA"
    transparent = np.asarray(picture)[..., 3] == 0
    assert np.array_equal(transparent, np.asarray(colors) == 3)


@pytest.mark.parametrize(("mode", "expected"), [("L", "LA"), ("RGB", "RGBA")])
def test_a_color_that_stands_for_transparency_becomes_alpha(mode: str, expected: str, tmp_path: Path) -> None:
    path, picture = tmp_path / "it.png", Image.new(mode, SIZE)
    picture.putpixel((2, 1), 200 if mode == "L" else (200, 100, 0))
    picture.save(path, transparency=0 if mode == "L" else (0, 0, 0))
    read = read_picture(path)
    assert read.mode == expected
    alpha = np.asarray(read)[..., -1]
    assert alpha[1, 2] == 255
    assert alpha.sum() == 255


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "HSV", "PA", "RGBa", "RGBX"])
def test_other_color_models_become_rgb(mode: str) -> None:
    picture = Image.new(mode, SIZE)
    assert direct(picture).mode == ("RGBA" if mode in ("PA", "RGBa") else "RGB")


def test_a_cmyk_photo_becomes_rgb(tmp_path: Path) -> None:
    path = tmp_path / "it.jpg"
    Image.new("CMYK", SIZE, (0, 0, 0, 0)).save(path)  # no ink
    assert same(read_picture(path), Image.new("RGB", SIZE, "white"))


@pytest.mark.parametrize(("mode", "kind"), [("I", "signed"), ("F", "floating-point")])
def test_pictures_whose_range_is_unknown_are_refused(mode: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "it.tif"
    Image.new(mode, SIZE).save(path)
    with pytest.raises(ImageError, match=rf"got a TIFF of 32-bit {kind} samples, MINISBLACK, expected 8 or 16 bits of"):
        read_picture(path)
    with pytest.raises(ImageError, match=rf"got a picture of mode '{mode}', expected 8-bit gray or color, or 16-bit"):
        direct(Image.new(mode, SIZE))


@pytest.mark.parametrize(
    ("orientation", "transpose"),
    [
        (1, None),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_270),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_90),
    ],
)
def test_a_photo_is_turned_upright(orientation: int, transpose: Image.Transpose | None, tmp_path: Path) -> None:
    picture, path = rgba().convert("RGB"), tmp_path / "it.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(path, exif=exif)
    upright = picture if transpose is None else picture.transpose(transpose)
    assert same(read_picture(path), upright)


def test_the_first_picture_of_several_is_read(tmp_path: Path) -> None:
    path = tmp_path / "it.gif"
    first, second = Image.new("L", SIZE, 10), Image.new("L", SIZE, 200)
    first.save(path, save_all=True, append_images=[second])
    assert set(np.asarray(read_picture(path).convert("L")).flat) == {10}


def test_a_missing_picture_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.png: cannot be read: No such file or directory$"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(ImageError, match=r": cannot be read: Is a directory$"):
        read_picture(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello, this is text", b"\0" * 100, b"GIF"])
def test_what_is_no_picture_is_refused_whatever_its_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "it.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"it\.png: not a picture in a supported format$"):
        read_picture(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp", ".gif"])
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
def test_a_truncated_picture_is_refused(suffix: str, keep: float, tmp_path: Path) -> None:
    path = tmp_path / f"it{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(ImageError, match=rf"it\{suffix}: "):
        read_picture(path)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.png"
    Image.new("L", (50, 50)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(
        ImageError, match=r"bomb\.png: the picture is too large: Image size \(2500 pixels\) exceeds limit"
    ):
        read_picture(path)


# What damaged metadata is worth a warning of Pillow's, here is beside the point.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP", "TGA", "PCX", "DDS", "ICO", "AVIF"])
def test_no_damage_raises_anything_but_a_sentence(kind: str, tmp_path: Path) -> None:
    Image.init()  # loads the formats
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow cannot write {kind}")
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    options: dict[str, Any] = {"exif": exif} if kind in ("PNG", "JPEG", "TIFF", "WEBP") else {}
    rgba().convert("L" if kind == "PCX" else "RGBA" if kind == "DDS" else "RGB").save(buffer, kind, **options)
    rng, path = np.random.default_rng(0), tmp_path / "damaged"
    for _ in range(100):
        data = bytearray(buffer.getvalue())
        for _ in range(rng.integers(1, 5)):
            start = int(rng.integers(min(len(data), 80) if rng.random() < 0.5 else len(data)))
            data[start : start + int(rng.integers(1, 4))] = rng.bytes(int(rng.integers(4)))
        path.write_bytes(data)
        try:
            outcome = read_picture(path).mode
        except ImageError as error:
            outcome = str(error)
        assert outcome in DIRECT_MODES or outcome.startswith(f"{path}: ")


# Writing.


@pytest.mark.parametrize("mode", DIRECT_MODES)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
def test_what_is_written_is_read_again(mode: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"it{suffix}"
    picture = Image.fromarray(noise().astype(np.uint16) * 257) if mode == "I;16" else rgba().convert(mode)
    write_picture(picture, path)
    assert same(read_picture(path), picture)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".webp"])
def test_a_lossy_format_is_written_with_little_loss(suffix: str, tmp_path: Path) -> None:
    ramp = np.linspace(40, 200, 64 * 64).reshape(64, 64)
    picture = Image.fromarray(np.stack((ramp, ramp.T, 255 - ramp), -1).astype(np.uint8))
    write_picture(picture, tmp_path / f"it{suffix}")
    read = read_picture(tmp_path / f"it{suffix}")
    assert np.abs(np.asarray(read, np.float32) - np.asarray(picture, np.float32)).mean() < 1.5


def test_a_picture_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "it.png"
    for value in (10, 200):
        write_picture(Image.new("L", SIZE, value), path)
    assert set(np.asarray(read_picture(path)).flat) == {200}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["it.xyz", "it", "it.txt", "it.png.bak", ".png", "it.eps", "it.pdf"])
def test_a_suffix_that_names_no_format_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no picture format has the suffix '.*'; use \.png, \.jpg, \.tif or \.webp$"):
        write_picture(Image.new("L", SIZE), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    with pytest.raises(ImageError, match=rf"it\.png: the folder {folder} does not exist; create it first$"):
        write_picture(Image.new("L", SIZE), folder / "it.png")
    assert not folder.exists()


def test_a_target_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "it.png").mkdir()
    with pytest.raises(ImageError, match=r"it\.png is a folder, expected the name of a picture file$"):
        write_picture(Image.new("L", SIZE), tmp_path / "it.png")


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "a\0b.png"])
def test_a_name_that_no_file_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"\.png: "):
        write_picture(Image.new("L", SIZE), tmp_path / name)
    with pytest.raises(ImageError, match=r"\.png: "):
        read_picture(tmp_path / name)


def test_checking_a_target_touches_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "it.png")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, before = tmp_path / "it.bmp", Image.new("L", SIZE, 7)
    write_picture(before, path)

    def fail(_: Image.Image, target: IO[bytes], *__: object, **___: object) -> None:
        target.write(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", fail)
        with pytest.raises(ImageError, match=r"it\.bmp: cannot be written: No space left on device$"):
            write_picture(Image.new("L", SIZE, 99), path)
    assert same(read_picture(path), before)
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_what_was_there_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, before = tmp_path / "it.bmp", Image.new("L", SIZE, 7)
    write_picture(before, path)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_picture(Image.new("L", SIZE, 99), path)
    assert same(read_picture(path), before)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(ImageError, match=r"it\.png: cannot be written: Permission denied$"):
        write_picture(Image.new("L", SIZE), tmp_path / "it.png")


@pytest.mark.parametrize(
    ("mode", "name"),
    [("RGBA", "it.jpg"), ("LA", "it.jpg"), ("RGBA", "it.bmp"), ("RGBA", "it.pcx")],
)
def test_a_format_that_cannot_hold_the_picture_is_refused(mode: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=rf"{name}: cannot be written: "):
        write_picture(Image.new(mode, SIZE), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("width", "name"), [(16384, "it.webp"), (70000, "it.gif"), (70000, "it.tga")])
def test_a_picture_that_is_too_large_for_its_format_is_refused(width: int, name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=rf"{name}: cannot be written: "):
        write_picture(Image.new("L", (width, 1)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
