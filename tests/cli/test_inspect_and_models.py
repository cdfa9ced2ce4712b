"""``toolbox inspect``, ``toolbox models``, and ``toolbox restore`` without a model: what it sees, chooses and says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import toolbox
from tests.cli.command import Run
from tests.images.samples import first_page
from toolbox.images.files.picture import read_picture
from toolbox.images.inspection.choice import CLEANER, RESIZER

CHELSEA = Path(__file__).parents[2] / "examples" / "photos" / "chelsea.png"


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """A part of a photograph, with a comment that only a copy of the file keeps."""
    path = tmp_path / "clean.jpg"
    read_picture(CHELSEA).crop((60, 80, 188, 208)).save(path, quality=98, comment=b"kept")
    return path


@pytest.fixture
def noisy(clean: Path, tmp_path: Path) -> Path:
    pixels = np.asarray(read_picture(clean))
    noise = np.random.default_rng(0).normal(0, 25, pixels.shape)
    Image.fromarray((pixels + noise).round().clip(0, 255).astype(np.uint8)).save(tmp_path / "noisy.png")
    return tmp_path / "noisy.png"


def test_inspect_says_what_it_sees_and_what_it_would_do(run: Run, clean: Path, noisy: Path) -> None:
    first, second = run("inspect", clean, noisy).out.splitlines()
    assert first.startswith(f"{clean}: 128x128, color, 8 bits; noise of σ = ")
    assert first.endswith("; clean: leave it as it is, or with a size diinn-lite")
    assert "JPEG of quality 98" in first
    assert re.search(r"; noise of σ = 2\d: photo, or with a size photo then diinn-lite$", second)


def test_inspect_is_json_for_programs(run: Run, noisy: Path, tmp_path: Path) -> None:
    (tmp_path / "none.png").write_bytes(b"no picture")
    result = run("inspect", noisy, tmp_path / "none.png", "--json")
    seen, failed = result.data
    assert result.code == 1
    assert seen["noise"] == toolbox.inspect(noisy).noise
    assert seen["size"] == [128, 128]
    assert seen["models"] == [CLEANER]
    assert seen["models_with_a_size"] == [CLEANER, RESIZER]
    assert failed["error"].endswith("none.png: not a picture in a supported format")


def test_a_clean_picture_is_copied_bit_for_bit_with_a_word(run: Run, clean: Path, tmp_path: Path) -> None:
    result = run("restore", clean, "-o", tmp_path / "out.jpg")
    said, wrote = result.out.splitlines()
    assert said == f"{clean}: clean: left as it is"
    assert wrote.startswith(f"wrote {tmp_path / 'out.jpg'} (128x128 to 128x128, unchanged, ")
    assert (tmp_path / "out.jpg").read_bytes() == clean.read_bytes()
    assert "replaced" in run("restore", clean, "-o", tmp_path / "out.jpg").out
    run("restore", clean, "-o", tmp_path / "out.png")  # another format keeps the pixels
    assert np.array_equal(first_page(tmp_path / "out.png").pixels, first_page(clean).pixels)


def test_a_noisy_picture_takes_the_model_for_it(run: Run, noisy: Path, tmp_path: Path) -> None:
    report = run("restore", noisy, "-o", tmp_path / "out.png", "--json").data
    assert report["model"] == "photo"
    assert re.fullmatch(r"noise of σ = 2\d: photo", report["seen"])
    expected = toolbox.restore(noisy, "photo")
    assert np.array_equal(first_page(tmp_path / "out.png").pixels, np.asarray(expected))


def test_the_model_and_sigma_override(run: Run, clean: Path, noisy: Path, tmp_path: Path) -> None:
    assert run("restore", noisy, "--dry-run", "--json", "-m", "bicubic").data["model"] == "bicubic"
    assert run("restore", noisy, "--dry-run", "--json", "--sigma", "0").data["model"] == "unchanged"
    assert run("restore", clean, "--dry-run", "--json", "--sigma", "25").data["model"] == "photo"
    assert run("restore", clean, "--dry-run", "--json", "--scale", "2").data["model"] == "diinn-lite"
    row = run("restore", noisy, "--dry-run", "--json", "--scale", "2").data
    assert row["model"] == "photo+diinn-lite"
    assert row["output_size"] == [256, 256]


def test_networks_run_in_a_row(run: Run, noisy: Path, weights: Path, tmp_path: Path) -> None:
    both = ("-m", "bicubic", "-m", weights)
    run("restore", noisy, "-o", tmp_path / "{stem}_{model}.png", *both, "--scale", "1.5", "--strength", "0.5")
    expected = toolbox.restore(noisy, ["bicubic", weights], scale=1.5, strength=0.5)
    assert np.array_equal(first_page(tmp_path / "noisy_bicubic+net.png").pixels, np.asarray(expected))
    result = run("restore", noisy, "-o", tmp_path / "out.png", "-m", "bicubic", "--strength", "2")
    assert result.sentence == "got strength 2, expected a number from 0 to 1"


def test_a_preview_shows_one_region_before_and_after(run: Run, noisy: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    result = run("restore", noisy, "-o", sheet, "--preview", "10,20,40,30", "-m", "bicubic", "--scale", "2")
    assert result.out == f"wrote {sheet} (before | after, bicubic)\n"
    assert read_picture(sheet).width > 2 * 80
    usage = run("restore", noisy, "-o", sheet, "--preview", "10,20,0,30").usage
    assert usage.startswith("Invalid value for '--preview': got '10,20,0,30', expected X,Y,WIDTH,HEIGHT in pixels")


def test_models_lists_the_networks_that_are_ready(run: Run) -> None:
    records = {record["name"]: record for record in run("models", "--json").data}
    assert set(records) == {info.name for info in toolbox.list_architectures() if info.weights is not None}
    assert records["photo"]["purpose"] == "keep the size"
    assert records["diinn-lite"]["purpose"] == "give any size"
    assert records["nlrn-lite"]["psnr"] == {"set12": 30.2}
    assert all(record["seconds_per_megapixel"] > 0 for record in records.values())
    printed = run("models").out
    assert printed.index("give any size") < printed.index("diinn-lite") < printed.index("keep the size")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["-m", "nlrn-lite", "--scale", "2"], "but the model keeps the size; use diinn-lite, which gives any size"),
        (["-m", "nlrn"], "use one for this task that has them (nlrn-lite, nlrn-lite-blind, photo)"),
        (["-m", "liif", "--scale", "2"], "use one for this task that has them (diinn-lite, nlrn-diinn-lite)"),
    ],
)
def test_an_error_names_a_model_that_runs(asked: list[str], sentence: str, run: Run, clean: Path) -> None:
    assert sentence in run("restore", clean, "-o", clean.with_name("out.png"), *asked).sentence


def test_names_are_printed_without_control_characters(run: Run, noisy: Path, tmp_path: Path) -> None:
    noisy.rename(tmp_path / "a\x1b[31mb.png")
    result = run("restore", tmp_path, "-o", f"{tmp_path}/out/", "-m", "bicubic")
    assert "a\\x1b[31mb.png (128x128" in result.out
    assert "\x1b" not in result.out + result.err
    report = run("restore", tmp_path, "-o", f"{tmp_path}/out/", "-m", "bicubic", "--json").data
    assert all(file["input"].isprintable() and file["output"].isprintable() for file in report["files"])
    assert "\x1b" not in run("restore", tmp_path / "no\x1b[31mne.png", "-o", tmp_path / "out.png").err


def test_files_that_are_no_pictures_are_counted(run: Run, noisy: Path, tmp_path: Path) -> None:
    for name in ("notes.txt", "list"):
        (tmp_path / name).write_text("no picture", encoding="utf-8")
    printed = run("restore", tmp_path, "-o", f"{tmp_path}/out/", "-m", "bicubic").out
    assert printed.splitlines()[-1] == "2 files are no pictures"
