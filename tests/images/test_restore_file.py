"""A picture file restored as a whole: deep tiles, pages, reducing, planning from the header, broken networks."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngImageFile

import toolbox
from tests.images.samples import cmyk_profile, exif, first_page, identity, noise
from tests.images.test_restore import breaking, model, picture
from toolbox.errors import ImageError, SpecError
from toolbox.images.engine import plan, reach
from toolbox.images.engine.hardware import large_pictures
from toolbox.images.engine.request import Geometry, Request
from toolbox.images.files.reading import opened
from toolbox.images.restore_file import Networks, Settings, dry_run, restore_file, usual_format
from toolbox.imresize import imresize
from toolbox.restorer import Restorer


def settings(restorer: Restorer, **more: Any) -> Settings:
    geometry = Geometry(**{name: more.pop(name) for name in ("scale", "size", "long_edge") if name in more})
    quality = more.pop("quality", None)
    return Settings(Networks((restorer,), "the-model"), Request(geometry, **more), quality)


def deep(path: Path, *shape: int) -> np.ndarray[Any, Any]:
    values = picture(*shape, dtype=np.uint16)
    tifffile.imwrite(path, values, photometric="rgb" if len(shape) == 3 else "minisblack")
    return values


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_give_sixteen_bits_of_the_whole(channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = model(channels)
    values = deep(tmp_path / "in.tif", 40, 30, 3)
    whole = toolbox.restore(values, network, scale=1.5)
    monkeypatch.setattr(reach, "usual_tile", lambda _: 16)
    report = restore_file(tmp_path / "in.tif", tmp_path / "out.png", settings(network, scale=1.5))
    assert report.tiles == 6
    assert report.exact
    assert np.abs(first_page(tmp_path / "out.png").pixels.astype(int) - whole).max() <= 1
    assert len(np.unique(whole)) > 256 * 4  # more than 8 bits can tell


def test_a_deep_picture_is_what_its_array_is(tmp_path: Path) -> None:
    network, values = model(1), deep(tmp_path / "in.tif", 12, 10)
    toolbox.restore(tmp_path / "in.tif", network, scale=2, output=tmp_path / "out.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "out.tif"), toolbox.restore(values, network, scale=2))


def test_pages_are_restored_each_in_its_size_and_depth(tmp_path: Path) -> None:
    pages = [picture(8, 6, 3, dtype=np.uint16), picture(5, 9), picture(4, 4, 4)]
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        for page in pages:
            extra = ["unassalpha"] if page.shape[-1] == 4 and page.ndim == 3 else None
            file.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", extrasamples=extra)
    network, steps = model(3), list[tuple[int, int]]()
    report = restore_file(
        tmp_path / "in.tif",
        tmp_path / "out.tif",
        settings(network, scale=2),
        progress=lambda done, total: steps.append((done, total)),
    )
    assert report.pages == 3
    assert (report.input_size, report.output_size) == ((6, 8), (12, 16))
    assert steps == [(done, 6) for done in range(1, 7)]
    with opened(tmp_path / "out.tif") as file:
        for number, page in enumerate(pages):
            assert np.array_equal(file.page(number).pixels, toolbox.restore(page, network, scale=2))


def test_a_bad_page_leaves_nothing(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        file.write(picture(8, 6, 3, dtype=np.uint16), photometric="rgb")
        file.write(np.zeros((8, 6), np.float32), photometric="minisblack")
    with pytest.raises(ImageError, match=r"in\.tif: got a TIFF of 32-bit floating-point samples"):
        restore_file(tmp_path / "in.tif", tmp_path / "out.tif", settings(identity()))
    assert [path.name for path in tmp_path.iterdir()] == ["in.tif"]


def test_bytes_are_a_file_too() -> None:
    buffer, out = io.BytesIO(), io.BytesIO()
    Image.fromarray(picture(7, 6, 3)).save(buffer, "PNG")
    report = restore_file(buffer, lambda file, *_: (out, usual_format(file)), settings(identity(), scale=2), name="it")
    assert report.output == "-"
    with Image.open(out) as restored:
        assert (restored.size, restored.format) == ((12, 14), "PNG")


# Reducing.


@pytest.mark.parametrize("scale", [0.5, 0.31, 0.9])
def test_reducing_does_not_alias(scale: float) -> None:
    """A network that changes nothing where the size stays reduces as the field's resize does."""

    class Nearest(torch.nn.Module):
        def forward(self, features: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
            return torch.nn.functional.interpolate(features, size=size, mode="nearest")

    network, image = identity(), noise(40, 50, 3)
    network.decoder = Nearest()  # as an implicit decoder is: asked for points, it gives points
    restored = toolbox.restore(image, network, scale=scale)
    planes = torch.from_numpy(image).permute(2, 0, 1).double()
    expected = imresize(planes, size=restored.shape[:2]).clamp(0, 255).permute(1, 2, 0).numpy()
    assert np.abs(restored[3:-3, 3:-3] - expected[3:-3, 3:-3]).max() <= 1
    tall = toolbox.restore(image, network, size=(80, 25))
    down = toolbox.restore(toolbox.restore(image, network, size=(80, 50)), network, size=(80, 25))
    assert np.abs(tall.astype(int) - down).max() <= 1


# Before anything is decoded.


def test_a_dry_run_needs_the_header_alone(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    Image.fromarray(noise(300, 200, 3)).save(path)
    path.write_bytes(path.read_bytes()[:600])  # the rest is not there
    report = dry_run(path, tmp_path / "out.tif", settings(identity(), long_edge=1500))
    assert (report.input_size, report.output_size) == ((200, 300), (1000, 1500))
    assert report.memory
    assert report.memory > 1500 * 1000 * 3 * 4
    with pytest.raises(ImageError, match=r"in\.png: cannot be read: image file is truncated"):
        restore_file(path, tmp_path / "out.tif", settings(identity()))


def test_a_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    data = io.BytesIO()
    Image.new("1", (8, 8)).save(data, "PNG")
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    path.write_bytes(data.getvalue()[:12] + header + struct.pack(">I", zlib.crc32(header)) + data.getvalue()[33:])
    with pytest.raises(
        ImageError, match=r"in\.png: the picture is too large: Image size \(900000000 pixels\) exceeds limit"
    ):
        dry_run(path, tmp_path / "out.png", settings(identity()))
    with large_pictures(), pytest.raises(ImageError, match=r"in\.png: restoring 30000x30000 to 30000x30000 takes"):
        restore_file(path, tmp_path / "out.png", settings(identity(), max_memory="4GB"))


def test_a_picture_that_is_larger_than_pillow_guesses_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    Image.fromarray(picture(9, 9)).save(tmp_path / "in.png")
    with large_pictures():
        restore_file(tmp_path / "in.png", tmp_path / "out.png", settings(identity()))
    assert Image.MAX_IMAGE_PIXELS == 20


def test_workers_share_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_memory", lambda _: (0.0, 1e12))
    path, out = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(picture(30, 30, 3)).save(path)
    needed = dry_run(path, out, settings(model(3))).memory
    assert needed is not None
    assert dry_run(path, out, settings(model(3), max_memory=1.5 * needed)).memory == needed
    with pytest.raises(ImageError, match=r"in\.png: restoring 30x30 to 30x30 takes .*: use fewer workers, a smaller"):
        dry_run(path, out, settings(model(3), max_memory=1.5 * needed, workers=2))


@pytest.mark.parametrize("late", [False, True])
def test_exif_that_comes_last_turns_a_picture_too(late: bool, tmp_path: Path) -> None:
    path, buffer = tmp_path / "in.png", io.BytesIO()
    Image.fromarray(picture(9, 4, 3)).save(buffer, "PNG")
    data, exif_chunk = buffer.getvalue(), b"eXIf" + exif(6)
    exif_chunk = struct.pack(">I", len(exif_chunk) - 4) + exif_chunk + struct.pack(">I", zlib.crc32(exif_chunk))
    at = len(data) - 12 if late else 33
    path.write_bytes(data[:at] + exif_chunk + data[at:])
    report = restore_file(path, tmp_path / "out.png", settings(identity(), scale=2))
    assert (report.input_size, report.output_size) == ((9, 4), (18, 8))
    with Image.open(tmp_path / "out.png") as restored:
        assert restored.size == (18, 8)
        assert restored.getexif()[274] == 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (10, 6000), (6000, 10)])
@pytest.mark.parametrize("name", ["nlrn-lite", "diinn-lite"])
def test_odd_sizes_are_restored_by_what_ships(name: str, height: int, width: int, tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    Image.fromarray(picture(height, width)[:, : 1 if max(height, width) < 10 else width]).save(path)
    size = {"long_edge": max(height, width) // 2} if name == "diinn-lite" and max(height, width) > 10 else {}
    with opened(path) as file:
        before = file.shape(0)[1:]
    report = restore_file(path, tmp_path / "out.png", settings(toolbox.load(name), **size))
    if not size:
        assert report.output_size == before[::-1]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_network_that_breaks_down_is_named(value: float, tmp_path: Path) -> None:
    Image.fromarray(picture(7, 6)).save(tmp_path / "in.png")
    network = breaking(lambda image: image.fill_(value))
    with pytest.raises(ImageError, match=r"in\.png: the-model: the network \(broken on purpose\) gave values that"):
        restore_file(tmp_path / "in.png", tmp_path / "out.png", settings(network))
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


def test_a_size_that_the_model_does_not_do_names_the_file(tmp_path: Path) -> None:
    Image.fromarray(picture(7, 6)).save(tmp_path / "in.png")
    fixed = model(1, {"name": "pixel-shuffle", "scale": 3, "channels": 4}, global_skip="none")
    with pytest.raises(SpecError, match=r"in\.png: got output size 12x14 for input 6x7"):
        restore_file(tmp_path / "in.png", tmp_path / "out.png", settings(fixed, scale=2))


# In code.


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(7, 6), (1, 7, 6), (3, 7, 6), (4, 7, 6), (2, 3, 7, 6)], ids=str)
def test_a_tensor_gives_a_tensor_of_its_type_and_axes(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    network = model(3)
    white = torch.iinfo(dtype).max if not dtype.is_floating_point else 1
    image = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1) * white
    image = image.to(dtype)
    before = image.clone()
    restored = toolbox.restore(image, network, scale=2)
    assert isinstance(restored, torch.Tensor)
    assert (restored.dtype, restored.shape) == (dtype, (*shape[:-2], 14, 12))
    assert torch.equal(image, before)
    if dtype in (torch.uint8, torch.uint16) and len(shape) == 3:
        array = image.permute(1, 2, 0).numpy()
        assert np.array_equal(
            restored.permute(1, 2, 0).numpy(), toolbox.restore(array, network, scale=2).reshape(14, 12, -1)
        )


def test_a_tensor_is_written_too(tmp_path: Path) -> None:
    image = torch.from_numpy(noise(3, 5, 4, dtype=np.uint16))
    toolbox.restore(image, identity(), output=tmp_path / "out.png")
    assert np.array_equal(first_page(tmp_path / "out.png").pixels, image.permute(1, 2, 0).numpy())
    with pytest.raises(ImageError, match=r"^got 2 pictures and one output, expected one picture$"):
        toolbox.restore(torch.rand(2, 3, 5, 4), identity(), output=tmp_path / "two.png")


def test_a_pil_image_keeps_what_pillow_keeps() -> None:
    image = Image.fromarray(picture(7, 6, 3))
    image.info |= {"icc_profile": b"some", "dpi": (300, 300), "exif": b"Exif\0\0MM"}
    restored = toolbox.restore(image, identity(), scale=2)
    assert restored.info == image.info


def test_a_pil_image_of_inks_is_what_they_mean(tmp_path: Path) -> None:
    image = Image.fromarray(noise(7, 6, 4), "CMYK")
    image.info["icc_profile"] = cmyk_profile()
    restored = toolbox.restore(image, identity(), output=tmp_path / "out.png")
    assert restored.mode == "RGB"
    assert restored.info["icc_profile"][16:20] == b"RGB "
    image.save(tmp_path / "in.tif", icc_profile=cmyk_profile())
    page = first_page(tmp_path / "in.tif")
    assert np.array_equal(np.asarray(restored), page.pixels)
    assert first_page(tmp_path / "out.png").metadata.icc == page.metadata.icc


def test_a_file_is_not_restored_into_itself(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    Image.fromarray(picture(7, 6)).save(path)
    before = path.read_bytes()
    with pytest.raises(ImageError, match=r"in\.png is the input itself; choose another name$"):
        toolbox.restore(path, identity(), scale=2, output=tmp_path / "." / "in.png")
    assert path.read_bytes() == before


def test_a_page_is_decoded_once_and_pillow_keeps_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, decoded = tmp_path / "in.png", list[int]()
    Image.fromarray(noise(40, 30, 3)).save(path)
    load = ImageFile.ImageFile.load

    def counted(image: ImageFile.ImageFile) -> Any:
        decoded.append(1)
        return load(image)

    toolbox.restore(path, output=tmp_path / "warm.png", sigma=25)  # weights and the like
    monkeypatch.setattr(PngImageFile, "load", counted)
    with opened(path) as file:
        kept = file.page(0, keep=True)
        assert file.keeps(0)
        assert file.page(0) is kept
        assert not file.keeps(0)
        assert file.shape(0) == (3, 40, 30)
        before = len(decoded)
        assert np.array_equal(file.page(0).pixels, kept.pixels)  # from the file again
        assert len(decoded) > before
    decoded.clear()
    with opened(path) as file:
        file.page(0)
    alone = len(decoded)
    decoded.clear()
    toolbox.restore(path, output=tmp_path / "out.png", sigma=25)
    assert len(decoded) == alone


def test_a_dry_run_counts_the_time_of_files(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    Image.fromarray(noise(64, 64, 3)).save(path)
    small = dry_run(path, tmp_path / "out.png", settings(identity(), scale=2)).seconds
    large = dry_run(path, tmp_path / "out.png", settings(identity(), scale=40)).seconds
    assert 0 < small < large


MEASURED = """
import sys
import numpy as np, torch, tifffile
import toolbox
from toolbox.images.engine.request import Geometry, Request
from toolbox.images.restore_file import Networks, Settings, dry_run, restore_file
from pathlib import Path

def status(key):
    return next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))

folder = Path(sys.argv[1])
spec = {"channels": 3, "encoder": {"name": "edsr", "channels": 4, "blocks": 1}}
spec |= {"decoder": {"name": "pixel-shuffle", "scale": 2, "channels": 4}}
settings = Settings(Networks((toolbox.build(spec).eval(),), "small"), Request())
source, target = folder / "in.tif", folder / "out.tif"
for rows in map(int, sys.argv[2:]):
    tifffile.imwrite(source, np.zeros((rows, 256, 3), np.uint8))
    estimated = dry_run(source, target, settings).memory
    restore_file(source, target, settings)
    print(estimated, status("VmHWM"))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory as Linux tells it")
def test_memory_does_not_grow_with_the_rows_of_a_result(tmp_path: Path) -> None:
    rows = 3000, 12000
    command = [sys.executable, "-c", MEASURED, str(tmp_path), *map(str, rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (_, fewer), (estimated, more) = (map(float, line.split()) for line in done.stdout.splitlines())
    pixels = 256 * (rows[1] - rows[0])
    assert more - fewer < 24 * pixels  # the picture as Pillow has it and as we do; the result in floats would be 48
    assert more <= estimated
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages[0].aspage().shape == (2 * rows[1], 512, 3)
