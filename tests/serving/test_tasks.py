"""The worker's tasks: the bytes of ``toolbox restore``, and refusals before anything is decoded."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import toolbox
from tests.cli.command import Run
from tests.cli.conftest import run  # noqa: F401  # a fixture
from tests.images.samples import SRGB, exif
from tests.serving.client import pixels, png
from toolbox.errors import ImageError, ToolboxError
from toolbox.images.ready import ready_names
from toolbox.serving.job import PICTURE, RESULTS
from toolbox.serving.options import Options
from toolbox.serving.tasks import Tasks, TaskSettings, TooLarge

TINY = "tiny"


@pytest.fixture(scope="module")
def tasks(catalog: Path) -> Tasks:
    return Tasks(TaskSettings(pixels=100_000, catalogs=(str(catalog),)))


def job(folder: Path, data: bytes, name: str = "photo.png") -> Path:
    """The folder of a job with its picture."""
    (folder / PICTURE).mkdir()
    (folder / PICTURE / name).write_bytes(data)
    return folder


def restored(
    tasks: Tasks, folder: Path, name: str, *, views: bool = False, **options: Any
) -> tuple[dict[str, Any], bytes]:
    """The report, and the bytes of the result."""
    report = tasks.restore(folder, name, Options(**options), lambda _: None, views=views)
    return report, (folder / report["files"]["result"]["path"]).read_bytes()


def deep_color() -> bytes:
    return png(24, 32, dtype=np.uint16)


def with_alpha() -> bytes:
    return png(24, 32, channels=4)


def photograph() -> bytes:
    """A JPEG with EXIF, which says that it lies on its side, and a profile."""
    data = io.BytesIO()
    Image.fromarray(pixels(png(24, 32))).save(
        data, "JPEG", quality=60, exif=b"Exif\0\0" + exif(6, (32, 24)), icc_profile=SRGB
    )
    return data.getvalue()


def pages() -> bytes:
    data = io.BytesIO()
    with tifffile.TiffWriter(data) as file:
        for seed in range(2):
            file.write(pixels(png(24, 32, seed=seed)).astype(np.uint16) * 257, photometric="rgb")
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "make", "options", "words"),
    [
        ("deep.png", deep_color, {"model": (TINY,), "scale": 1.5}, ["-m", TINY, "--scale", "1.5"]),
        ("alpha.png", with_alpha, {"model": (TINY,), "size": "40x31"}, ["-m", TINY, "--size", "40x31"]),
        ("photo.jpeg", photograph, {}, []),
        ("photo.jpeg", photograph, {"format": "png", "strength": 0.5}, ["--format", "png", "--strength", "0.5"]),
        ("photo.jpeg", photograph, {"quality": 40, "long_edge": 20}, ["--quality", "40", "--long-edge", "20"]),
        ("scan.tif", pages, {"model": (TINY, TINY), "width": 20}, ["-m", TINY, "-m", TINY, "--width", "20"]),
        ("noisy.png", with_alpha, {"sigma": 20}, ["--sigma", "20"]),
    ],
)
def test_the_result_has_the_bytes_of_the_command(
    name: str,
    make: Any,
    options: dict[str, Any],
    words: list[str],
    tasks: Tasks,
    catalog: Path,
    run: Run,  # noqa: F811
    tmp_path: Path,
) -> None:
    folder = job(tmp_path, make(), name)
    report, data = restored(tasks, folder, name, **options)
    done = run("restore", folder / PICTURE / name, "-o", f"{tmp_path / 'out'}/", "--catalog", catalog, *words, "--json")
    assert done.code == 0, done.err
    (written,) = (tmp_path / "out").iterdir()
    assert written.name == report["output"]
    assert written.read_bytes() == data
    same = ("model", "seen", "pages", "input_size", "output_size", "exact")
    assert {key: report[key] for key in same} == {key: done.data[key] for key in same}


def test_what_it_sees_is_what_inspect_prints(tasks: Tasks, run: Run, tmp_path: Path) -> None:  # noqa: F811
    folder = job(tmp_path, photograph(), "photo.jpeg")
    printed = run("inspect", folder / PICTURE / "photo.jpeg", "--json").data[0]
    del printed["input"]
    assert json.loads(json.dumps(tasks.inspect(folder, "photo.jpeg"))) == printed


def test_the_models_are_those_of_the_command(
    tasks: Tasks,
    catalog: Path,
    run: Run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ready = ready_names(tasks.registries)
    assert {"photo", "diinn-lite", TINY} <= set(ready)
    for module in ("toolbox.images.ready", "toolbox.serving.tasks"):  # to estimate the time of all takes long
        monkeypatch.setattr(f"{module}.ready_names", lambda _: ["photo", TINY])
    printed, own = run("models", "--json", "--catalog", catalog).data, tasks.models()
    for record in (*printed, *own):
        assert record.pop("seconds_per_megapixel") >= 0
    assert own == printed


def test_formats_that_browsers_do_not_show_get_views(tasks: Tasks, tmp_path: Path) -> None:
    report, _ = restored(tasks, job(tmp_path, pages(), "scan.tif"), "scan.tif", views=True, model=(TINY,), scale=2)
    files = report["files"]
    assert files["result"] == {"path": f"{RESULTS}/scan.tif", "media_type": "image/tiff"}
    for name, size in (("before", (24, 32)), ("after", (48, 64))):
        assert files[name]["media_type"] == "image/png"
        assert pixels((tmp_path / files[name]["path"]).read_bytes()).shape[:2] == size


def test_formats_that_browsers_show_are_shown_themselves(tasks: Tasks, tmp_path: Path) -> None:
    report, _ = restored(tasks, job(tmp_path, deep_color()), "photo.png", views=True, model=(TINY,))
    assert report["files"]["before"] == report["files"]["picture"]
    assert (
        report["files"]["after"]
        == report["files"]["result"]
        == {"path": f"{RESULTS}/photo.png", "media_type": "image/png"}
    )


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes whose header asks for many pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(400, 300), (30_000, 30_000)])
def test_a_bomb_is_refused_before_it_is_decoded(size: tuple[int, int], tasks: Tasks, tmp_path: Path) -> None:
    folder = job(tmp_path, bomb(*size))
    works: list[Callable[[], object]] = [
        lambda: tasks.inspect(folder, "photo.png"),
        lambda: tasks.restore(folder, "photo.png", Options(), lambda _: None, views=True),
    ]
    for work in works:
        tracemalloc.start()
        with pytest.raises(
            TooLarge, match=r"^photo.png: got a picture of .* megapixels in all, expected at most 0.1; use"
        ):
            work()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 3 * size[0] * size[1] * (1 if size[0] < 1000 else 0.01) + 5e6


def test_the_pixels_of_all_pages_and_of_the_result_count(tasks: Tasks, tmp_path: Path) -> None:
    data = io.BytesIO()
    with tifffile.TiffWriter(data) as file:
        for _ in range(3):
            file.write(np.zeros((200, 200, 3), np.uint8), photometric="rgb")
    folder = job(tmp_path, data.getvalue(), "scan.tif")
    with pytest.raises(TooLarge, match=r"^scan.tif: got a picture of 0.1 megapixels in all"):
        tasks.inspect(folder, "scan.tif")
    (folder / PICTURE / "photo.png").write_bytes(png(24, 32))
    with pytest.raises(TooLarge, match=r"^photo.png: got a result of 3.1 megapixels in all, expected at most 0.1"):
        tasks.restore(folder, "photo.png", Options(model=(TINY,), scale=64), lambda _: None, views=False)


def test_many_channels_count_as_many_pixels(tasks: Tasks, tmp_path: Path) -> None:
    data = io.BytesIO()
    tifffile.imwrite(data, np.zeros((100, 100, 44), np.uint8), photometric="minisblack", planarconfig="contig")
    with pytest.raises(TooLarge, match=r"^bands.tif: got a picture of 0.1 megapixels"):
        tasks.inspect(job(tmp_path, data.getvalue(), "bands.tif"), "bands.tif")


@pytest.mark.parametrize("data", [b"", b"no picture", png(24, 32)[:700], b"II*\0" + bytes(100)])
def test_a_broken_file_is_refused_by_its_own_name(data: bytes, tasks: Tasks, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"^photo.png: ") as error:
        tasks.restore(job(tmp_path, data), "photo.png", Options(), lambda _: None, views=True)
    assert str(tmp_path) not in str(error.value)


def test_a_format_that_cannot_hold_the_picture_is_refused_without_a_path(tasks: Tasks, tmp_path: Path) -> None:
    with pytest.raises(ToolboxError, match=r"photo\.jpg: cannot be written: JPEG holds no transparency") as error:
        restored(tasks, job(tmp_path, with_alpha()), "photo.png", format="jpeg")
    assert RESULTS not in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_progress_goes_to_one(catalog: Path, tmp_path: Path) -> None:
    heard: list[float] = []
    tasks = Tasks(TaskSettings(pixels=100_000, catalogs=(str(catalog),)))
    tasks.restore(job(tmp_path, png(24, 32)), "photo.png", Options(model=(TINY,)), heard.append, views=False)
    assert heard == sorted(heard)
    assert heard[-1] == 1


def test_toolbox_restore_gives_the_same_pixels(tasks: Tasks, catalog: Path, tmp_path: Path) -> None:
    """An oracle beside the command: the public call."""
    data = png(24, 32, dtype=np.uint16)
    _, result = restored(tasks, job(tmp_path, data), "photo.png", model=(TINY,), scale=2)
    import imagecodecs

    expected = toolbox.restore(imagecodecs.png_decode(data), model=catalog.parent / "tiny.safetensors", scale=2)
    assert np.array_equal(imagecodecs.png_decode(result), expected)
