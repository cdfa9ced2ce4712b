"""``toolbox restore`` on folders, patterns, pipes and pages: what it prints, and what a program reads."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.cli.command import Run
from tests.images.samples import exif, first_page, noise
from toolbox.images import restore_file, restore_files
from toolbox.images.files.picture import read_picture


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What somebody may have: a deep scan, inks, a turned photo, pages, a file that is cut off; in tmp_path/scans."""
    folder = tmp_path / "scans"
    (folder / "more").mkdir(parents=True)
    tifffile.imwrite(folder / "deep.tif", noise(8, 6, 3, dtype=np.uint16), photometric="rgb")
    Image.fromarray(noise(8, 6, 3)).convert("CMYK").save(folder / "inks.jpg")
    Image.fromarray(noise(8, 6, 3)).save(folder / "more" / "turned.jpg", exif=b"Exif\0\0" + exif(6))
    tifffile.imwrite(folder / "more" / "pages.tif", noise(3, 8, 6), photometric="minisblack")
    Image.fromarray(noise(40, 40, 3)).save(folder / "cut.png")
    (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:2000])
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_folder_is_restored_with_a_summary_and_what_failed_last(run: Run, scans: Path) -> None:
    result = run("restore", "scans", "-r", "-o", "out/", "-m", "bicubic", "--scale", "2")
    assert result.code == 1
    *lines, files, restored, skipped, failed = result.out.splitlines()
    assert sorted(line.split(" (")[0] for line in lines) == [
        "wrote out/deep.tif",
        "wrote out/inks.jpg",
        "wrote out/more/pages.tif",
        "wrote out/more/turned.jpg",
    ]
    assert "wrote out/more/pages.tif (6x8 to 12x16, 3 pages, bicubic, " in result.out
    assert "wrote out/more/turned.jpg (8x6 to 16x12, bicubic, " in result.out
    assert files.split() == ["files", "5"]
    assert re.fullmatch(r"restored +4  0\.0 megapixels in \d+ s", restored)
    assert (skipped.split(), failed.split()) == (["skipped", "0"], ["failed", "1"])
    assert result.err.splitlines() == [
        "note: scans/inks.jpg: converted CMYK to RGB",
        "error: scans/cut.png: cannot be read: image file is truncated",
    ]
    assert first_page(Path("out/deep.tif")).deep
    again = run("restore", "scans", "-r", "-o", "out/", "-m", "bicubic", "--scale", "2", "--skip-existing")
    assert "skipped scans/deep.tif: out/deep.tif exists" in again.out
    assert again.out.splitlines()[-2].split() == ["skipped", "4"]


def test_many_files_are_json_for_programs(run: Run, scans: Path) -> None:
    result = run("restore", "scans", "-r", "-o", "out/", "-m", "bicubic", "--workers", "2", "--json")
    assert result.code == 1
    report = result.data
    assert {file["model"] for file in report["files"] if file["status"] == "restored"} == {"bicubic"}
    assert (report["restored"], report["skipped"], report["failed"]) == (4, 0, 1)
    files = {file["input"]: file for file in report["files"]}
    assert files["scans/cut.png"] == {
        "input": "scans/cut.png",
        "status": "failed",
        "error": "scans/cut.png: cannot be read: image file is truncated",
    }
    pages = files["scans/more/pages.tif"]
    assert (pages["status"], pages["output"], pages["pages"]) == ("restored", "out/more/pages.tif", 3)
    assert files["scans/inks.jpg"]["notes"] == ["converted CMYK to RGB"]
    assert "error: scans/cut.png" in result.err


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        (["--scale", "2x3"], (12, 24)),
        (["--width", "20"], (20, 27)),
        (["--height", "4"], (3, 4)),
        (["--long-edge", "80"], (60, 80)),
        (["--size", "9x9"], (9, 9)),
        ([], (6, 8)),
    ],
)
def test_a_dry_run_tells_the_exact_size(asked: list[str], size: tuple[int, int], run: Run, scans: Path) -> None:
    printed = run("restore", "scans/deep.tif", "-m", "bicubic", *asked, "--dry-run").out
    assert printed.startswith(f"6x8 to {size[0]}x{size[1]} with bicubic: about ")
    assert run("restore", "scans/deep.tif", "-o", "out.tif", "-m", "bicubic", *asked).code == 0
    assert read_picture(Path("out.tif")).size == size


def test_a_dry_run_of_many_names_them_and_writes_nothing(run: Run, scans: Path) -> None:
    result = run("restore", "scans/*.tif", "scans/inks.jpg", "-o", "out/", "-m", "bicubic", "--scale", "2", "--dry-run")
    assert "scans/deep.tif: 6x8 to 12x16 with bicubic: about" in result.out
    assert "scans/inks.jpg: 6x8 to 12x16 with bicubic: about" in result.out
    report = run("restore", "scans", "-r", "-o", "out/", "-m", "bicubic", "--dry-run", "--json").data
    assert (report["planned"], report["failed"]) == (5, 0)  # the file that is cut off has a good header
    assert not Path("out").exists()


def test_results_are_named_by_a_pattern(run: Run, scans: Path) -> None:
    pattern = "{folder}/{stem}_x{scale}{suffix}"
    assert (
        run("restore", "scans/deep.tif", "scans/inks.jpg", "-o", pattern, "-m", "bicubic", "--scale", "1.5").code == 0
    )
    assert (scans / "deep_x1.5.tif").exists()
    assert (scans / "inks_x1.5.jpg").exists()
    run("restore", "scans/deep.tif", "-o", "{stem}_{width}x{height}_{model}.png", "-m", "bicubic", "--width", "12")
    assert Path("deep_12x16_bicubic.png").exists()
    assert "expected the fields {stem}" in run("restore", "scans/deep.tif", "-o", "{steam}.png").sentence


def test_format_and_quality_are_as_asked(run: Run, scans: Path) -> None:
    assert run("restore", "scans/inks.jpg", "-o", "out/", "-m", "bicubic", "--format", "webp").code == 0
    with Image.open("out/inks.webp") as picture:
        assert picture.format == "WEBP"
    for quality in ("20", "95"):
        run("restore", "scans/inks.jpg", "-o", f"q{quality}.jpg", "-m", "bicubic", "--scale", "9", "--quality", quality)
    assert Path("q20.jpg").stat().st_size < Path("q95.jpg").stat().st_size / 2
    result = run("restore", "scans/deep.tif", "-o", "out.jpg", "-m", "bicubic")
    assert result.err == "note: scans/deep.tif: reduced 16 bits per channel to 8, the most that JPEG holds\n"
    wrong = run("restore", "scans/deep.tif", "-o", "out.jpg", "--format", "gpeg")
    assert wrong.sentence == "got the format 'gpeg', expected one that can be written, such as png, jpeg, tiff or webp"


def test_an_input_is_replaced_only_on_request(run: Run, scans: Path) -> None:
    before = (scans / "deep.tif").read_bytes()
    result = run("restore", "scans/deep.tif", "-o", "scans/", "-m", "bicubic", "--scale", "2")
    assert result.sentence == "scans/deep.tif is the input itself; choose another name, or use --overwrite"
    assert (scans / "deep.tif").read_bytes() == before
    assert run("restore", "scans/deep.tif", "-o", "scans/", "-m", "bicubic", "--scale", "2", "--overwrite").code == 0
    assert first_page(scans / "deep.tif").pixels.shape == (16, 12, 3)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["--device", "toaster"], "got device toaster, which this machine does not do"),
        (["--dtype", "int3"], "got dtype 'int3', expected one of float32, float64, bfloat16, float16"),
        (["--max-memory", "much"], "got 'much' for the memory, expected bytes or text such as 2GB or 512MiB"),
    ],
)
def test_what_the_machine_has_not_is_refused(asked: list[str], sentence: str, run: Run, scans: Path) -> None:
    assert run("restore", "scans/deep.tif", "-o", "out.tif", "-m", "bicubic", *asked).sentence.startswith(sentence)


def test_types_and_threads_are_used(run: Run, scans: Path) -> None:
    arguments = ("restore", "scans/deep.tif", "-m", "bicubic", "--scale", "2", "--threads", "1", "--device", "cpu")
    assert run(*arguments, "-o", "double.tif", "--dtype", "float64").code == 0
    assert run(*arguments, "-o", "single.tif").code == 0
    double, single = (first_page(Path(name)).pixels.astype(int) for name in ("double.tif", "single.tif"))
    assert np.abs(double - single).max() <= 1


def test_pages_are_compared_by_the_first(run: Run, scans: Path) -> None:
    result = run("restore", "scans/more/pages.tif", "-o", "out.tif", "-m", "bicubic", "--compare", "sheet.png")
    assert result.code == 0
    assert "wrote sheet.png (before | after)" in result.out
    many = run("restore", "scans", "-o", "out/", "-m", "bicubic", "--compare", "sheet.png")
    assert many.usage == "Invalid value: got --compare for several pictures, expected one"


def test_a_reference_is_shown_too(run: Run, scans: Path) -> None:
    arguments = ("restore", "scans/deep.tif", "-o", "out.tif", "-m", "bicubic", "--reference", "scans/deep.tif")
    assert run(*arguments, "--compare", "sheet.png").code == 0
    without = run("restore", "scans/deep.tif", "-o", "out.tif", "-m", "bicubic", "--compare", "two.png")
    assert without.code == 0
    assert read_picture(Path("sheet.png")).width > read_picture(Path("two.png")).width
    assert run(*arguments).usage.startswith("Invalid value: got --reference without --compare, expected")
    assert "none.png: cannot be read" in run(*arguments[:-1], "none.png", "--compare", "sheet.png").sentence


def test_debug_shows_where_one_of_many_failed(run: Run, scans: Path) -> None:
    result = run("--debug", "restore", "scans", "-o", "out/", "-m", "bicubic")
    assert result.code == 1
    assert "toolbox.errors.ImageError: scans/cut.png: cannot be read: image file is truncated" in result.err
    assert result.err.rstrip().splitlines()[-1] == "error: scans/cut.png: cannot be read: image file is truncated"


# Pipes.


class Pipe(io.TextIOWrapper):
    """A text stream over bytes in memory, as the standard ones are over pipes."""

    def __init__(self, content: bytes = b"") -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")


def test_standard_input_goes_to_standard_output(run: Run, scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Pipe()
    monkeypatch.setattr(sys, "stdin", Pipe((scans / "deep.tif").read_bytes()))
    monkeypatch.setattr(sys, "stdout", out)
    result = run("restore", "-", "-o", "-", "-m", "bicubic", "--scale", "2")
    assert result.code == 0
    assert result.err.startswith("wrote standard output (6x8 to 12x16, bicubic, ")
    assert isinstance(out.buffer, io.BytesIO)
    with tifffile.TiffFile(io.BytesIO(out.buffer.getvalue())) as file:
        assert file.asarray().shape == (16, 12, 3)
        assert file.asarray().dtype == np.uint16
    monkeypatch.setattr(sys, "stdin", Pipe(b"no picture"))
    assert "error: standard input: not a picture in a supported format" in run("restore", "-", "-o", "-").err


def test_a_notebook_has_no_bytes_and_needs_none(run: Run, scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert run("restore", "scans/deep.tif", "-o", "out.tif", "-m", "bicubic").code == 0


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    toolbox = f"{shlex.quote(sys.executable)} -m toolbox"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        ["/bin/sh", "-c", command.replace("toolbox", toolbox)],
        cwd=folder,
        capture_output=True,
        check=False,
        env=environment,
    )


def test_a_shell_pipes_pictures_through(scans: Path, tmp_path: Path) -> None:
    done = shell(
        "cat scans/deep.tif | toolbox restore - -o - -m bicubic --width 3 --format png > out.png && "
        "toolbox restore none.png 'scans/de*.tif' -o out/ -m bicubic --json 2> errors.txt",
        tmp_path,
    )
    assert done.returncode == 1
    assert first_page(tmp_path / "out.png").pixels.shape == (4, 3, 3)
    assert first_page(tmp_path / "out.png").deep
    assert json.loads(done.stdout)["failed"] == 1
    assert (tmp_path / "errors.txt").read_text(encoding="utf-8") == (
        "error: none.png: cannot be read: No such file or directory\n"
    )


def test_ctrl_c_ends_a_run_without_a_traceback(tmp_path: Path) -> None:
    folder: Any = tmp_path / "in"
    folder.mkdir()
    for number in range(60):
        Image.fromarray(noise(300, 400, 3)).save(folder / f"{number}.bmp")
    command = [
        sys.executable,
        "-m",
        "toolbox",
        "restore",
        folder,
        "-o",
        f"{tmp_path}/out/",
        "-m",
        "bicubic",
        "--scale",
        "3",
    ]
    process = subprocess.Popen(
        [*command, "--workers", "2"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a job in the background ignores
    )
    while not (tmp_path / "out").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode not in (0, 1)
    assert b"Traceback" not in errors
    assert len(list((tmp_path / "out").glob("[0-9]*"))) < 60
    assert not list((tmp_path / "out").glob(".*"))


def test_ctrl_c_says_how_many_files_are_done(run: Run, scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restore, calls = restore_file.restore_file, list[object]()

    def interrupted(source: Any, *more: Any) -> Any:
        calls.append(source)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return restore(source, *more)

    monkeypatch.setattr(restore_files, "restore_file", interrupted)
    result = run("restore", "scans", "-r", "-o", "out/", "-m", "bicubic")
    assert result.code == 130
    assert result.err.splitlines()[-1] == "stopped: 2 of 5 files are done"
