"""``toolbox restore``: the main job, and every bad input of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import toolbox
from tests.cli.command import NET, Run
from toolbox.images.comparison import side_by_side
from toolbox.images.files.picture import read_picture


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Done.


@pytest.mark.parametrize(
    ("asked", "size"),
    [([], (12, 9)), (["--scale", "2"], (24, 18)), (["--scale", "2.5"], (30, 23)), (["--size", "7x40"], (7, 40))],
)
def test_a_picture_is_restored_and_said_so(
    asked: list[str], size: tuple[int, int], run: Run, photo: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.png"
    result = run("restore", photo, "-o", output, "-m", "bicubic", *asked)
    assert result.code == 0
    assert result.out.startswith(f"wrote {output} (12x9 to {size[0]}x{size[1]}, bicubic, ")
    expected = toolbox.restore(photo, toolbox.build("bicubic"), size=size[::-1])
    assert np.array_equal(np.asarray(read_picture(output)), np.asarray(expected))


@pytest.mark.parametrize("size", ["20x30", "20X30", "20×30"])
def test_a_size_is_width_by_height(size: str, run: Run, photo: Path, tmp_path: Path) -> None:
    assert run("restore", photo, "-o", tmp_path / "out.png", "-m", "bicubic", "--size", size).code == 0
    assert read_picture(tmp_path / "out.png").size == (20, 30)


def test_json_is_for_programs(run: Run, photo: Path, tmp_path: Path) -> None:
    output, sheet = tmp_path / "out.png", tmp_path / "sheet.png"
    arguments = ("-m", "bicubic", "--scale", "2", "--compare", sheet, "--json")
    report = run("restore", photo, "-o", output, *arguments).data
    assert report.pop("seconds") >= 0
    assert report == {
        "input": str(photo),
        "status": "restored",
        "output": str(output),
        "compare": str(sheet),
        "model": "bicubic",
        "seen": None,
        "replaced": False,
        "pages": 1,
        "input_size": [12, 9],
        "output_size": [24, 18],
        "tiles": 1,
        "exact": True,
        "memory": None,
        "notes": [],
        "sources": [],
    }


def test_a_dry_run_tells_size_memory_and_time_and_writes_nothing(run: Run, photo: Path, tmp_path: Path) -> None:
    printed = run("restore", photo, "-m", "bicubic", "--scale", "2.5", "--dry-run").out
    assert re.match(r"12x9 to 30x23 with bicubic: about \d+\.\d GB in all, \d+ s, in 1 tile", printed)
    output = tmp_path / "out.png"
    report = run("restore", photo, "-o", output, "-m", "bicubic", "--scale", "2.5", "--dry-run", "--json").data
    assert report["output_size"] == [30, 23]
    assert report["memory"] > 50e6
    assert report["seconds"] > 0
    assert not output.exists()


def test_what_fits_into_no_memory_is_refused(run: Run, photo: Path, tmp_path: Path) -> None:
    result = run("restore", photo, "-o", tmp_path / "out.png", "--max-memory", "20MB")
    assert result.sentence.startswith(f"{photo}: restoring 12x9 to 12x9 takes ")
    assert not (tmp_path / "out.png").exists()
    assert "expected bytes or text such as 2GB" in run("restore", photo, "--dry-run", "--max-memory", "lots").sentence


def test_before_and_after_are_shown_side_by_side(run: Run, photo: Path, tmp_path: Path) -> None:
    output, sheet = tmp_path / "out.png", tmp_path / "sheet.png"
    result = run("restore", photo, "-o", output, "-m", "bicubic", "--scale", "2", "--compare", sheet)
    assert f"wrote {sheet} (before | after)" in result.out
    expected = side_by_side(read_picture(photo), read_picture(output))
    assert np.array_equal(np.asarray(read_picture(sheet)), np.asarray(expected))


def test_a_weights_file_is_a_model(run: Run, photo: Path, weights: Path, tmp_path: Path) -> None:
    assert run("restore", photo, "-o", tmp_path / "out.png", "-m", weights, "--scale", "2").code == 0
    expected = toolbox.restore(photo, weights, scale=2)
    assert np.array_equal(np.asarray(read_picture(tmp_path / "out.png")), np.asarray(expected))


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK"])
def test_every_kind_of_picture_is_restored(mode: str, run: Run, photo: Path, tmp_path: Path) -> None:
    path = tmp_path / "kind.tif"
    read_picture(photo).convert(mode).save(path)
    assert run("restore", path, "-o", tmp_path / "out.png", "-m", "bicubic", "--scale", "2").code == 0
    assert read_picture(tmp_path / "out.png").size == (24, 18)


# A catalog of one's own.


def catalog(folder: Path, **more: object) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({"my-net": {**NET, **more}}), encoding="utf-8")
    return path


def test_a_network_of_one_s_own_without_weights_warns(run: Run, photo: Path, tmp_path: Path) -> None:
    arguments = ("-o", tmp_path / "out.png", "-m", "my-net", "--scale", "2", "--catalog", catalog(tmp_path))
    result = run("restore", photo, *arguments)
    assert result.code == 0
    warning = "warning: 'my-net' has no weights, so it restores with random ones; train it and add `weights: FILE`"
    assert result.err.startswith(warning)
    first = (tmp_path / "out.png").read_bytes()
    run("restore", photo, *arguments)
    assert (tmp_path / "out.png").read_bytes() == first


def test_a_network_of_one_s_own_without_anything_to_train_does_not_warn(run: Run, photo: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("smooth: {channels: 3, encoder: identity, decoder: bicubic}\n", encoding="utf-8")
    result = run("restore", photo, "-o", tmp_path / "out.png", "-m", "smooth", "--scale", "2", "--catalog", path)
    assert result.code == 0
    assert "warning" not in result.err


def test_weights_are_found_beside_the_catalog(
    run: Run, photo: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = catalog(tmp_path, weights=weights.name)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    result = run("restore", photo, "-o", "out.png", "-m", "my-net", "--scale", "2", "--catalog", path)
    assert result.code == 0
    assert "warning" not in result.err
    expected = toolbox.restore(photo, weights, scale=2)
    assert np.array_equal(np.asarray(read_picture(elsewhere / "out.png")), np.asarray(expected))


def test_several_catalogs_add_up(run: Run, photo: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("smooth: {channels: 3, encoder: identity, decoder: bicubic}\n", encoding="utf-8")
    both = ("--catalog", catalog(tmp_path), "--catalog", other)
    for name in ("my-net", "smooth", "bicubic"):
        assert run("restore", photo, "-o", tmp_path / "out.png", "-m", name, *both).code == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("my-net: {channels: 3, encoder: {name: edsr, chanels: 4}, decoder: bicubic}",
         "my-net: encoder.chanels: unknown key; did you mean 'channels'?"),
        ("my-net: {chanels: 3, encoder: edsr, decoder: dual-interactive}",
         "my-net: chanels: unknown key; did you mean 'channels'?"),
        ("my-net: {channels: 3, encoder: edrs, decoder: dual-interactive}",
         "my-net: encoder.name: unknown encoder 'edrs'; did you mean 'edsr' (toolbox)"),
        ("my-net: {channels: 3, encoder: edsr, decoder: bicubic}", "my-net: decoder: bicubic got 64 channels"),
        ("my-net: {channels: 3, encoder: edsr}", "my-net: decoder: missing; this key is required"),
        ("my-net: 3", "mine.yaml: expected a mapping of architecture names to specs"),
        ("my-net: {channels: 3", "mine.yaml: not valid YAML: "),
        ("", "mine.yaml: expected a mapping of architecture names to specs"),
        ("bicubic: {channels: 3, encoder: identity, decoder: bicubic}",
         "architecture 'bicubic' of {path} is already provided by toolbox; rename one of them"),
        ("my-net: {channels: 3, encoder: edsr, decoder: dual-interactive, weights: 3}", "mine.yaml: "),
        ("3: {channels: 3, encoder: edsr, decoder: dual-interactive}", "mine.yaml: "),
    ],
)  # fmt: skip
def test_a_catalog_with_a_fault_is_refused_with_where_it_is(
    text: str, sentence: str, run: Run, photo: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    result = run("restore", photo, "-o", tmp_path / "out.png", "-m", "my-net", "--catalog", path)
    assert sentence.replace("{path}", str(path)) in result.sentence
    assert result.code == 2
    assert "out.png" not in files(tmp_path)


def test_weights_that_a_catalog_names_and_are_missing_are_refused(run: Run, photo: Path, tmp_path: Path) -> None:
    path = catalog(tmp_path, weights="gone.safetensors")
    result = run("restore", photo, "-o", tmp_path / "out.png", "-m", "my-net", "--catalog", path)
    assert "gone.safetensors: " in result.sentence
    assert result.code == 1


# Wrong usage: exit code 2, before anything is done.


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (["--scale", "0"], "Invalid value for '--scale': got '0', expected a positive number such as 2.5"),
        (["--scale", "nan"], "Invalid value for '--scale': got 'nan', expected a positive number"),
        (["--scale", "inf"], "Invalid value for '--scale': got 'inf', expected a positive number"),
        (["--scale", "-2"], "Invalid value for '--scale': got '-2', expected a positive number"),
        (["--scale", "two"], "Invalid value for '--scale': got 'two', expected a positive number"),
        (["--size", "0x10"], "Invalid value for '--size': got '0x10', expected WIDTHxHEIGHT in pixels"),
        (["--size", "10x0"], "Invalid value for '--size': got '10x0', expected WIDTHxHEIGHT"),
        (["--size", "10"], "Invalid value for '--size': got '10', expected WIDTHxHEIGHT"),
        (["--size", "-3x4"], "Invalid value for '--size': got '-3x4', expected WIDTHxHEIGHT"),
        (["--size", "3x4x5"], "Invalid value for '--size': got '3x4x5', expected WIDTHxHEIGHT"),
        (["--size", "2.5x4"], "Invalid value for '--size': got '2.5x4', expected WIDTHxHEIGHT"),
        (["--scale", "2", "--size", "20x20"], "got --scale and --size, expected one of them"),
        (["--sale", "2"], "No such option"),
        (["--width", "20", "--long-edge", "20"], "got --width and --long-edge, expected one of them"),
        (["--width", "0"], "Invalid value for '--width': Input should be greater than"),
        (
            ["--scale", "2x3x4"],
            "Invalid value for '--scale': got '2x3x4', expected a positive number such as 2.5, or two",
        ),
        (["--scale", "2x0"], "Invalid value for '--scale': got '0', expected a positive number"),
    ],
)
def test_wrong_usage_is_told_how_it_is_right(
    asked: list[str], reason: str, run: Run, photo: Path, tmp_path: Path
) -> None:
    result = run("restore", photo, "-o", tmp_path / "out.png", "-m", "bicubic", *asked)
    assert reason in result.usage
    assert files(tmp_path) == {"photo.png"}


def test_an_output_is_needed(run: Run, photo: Path) -> None:
    assert "got no --output, expected" in run("restore", photo).usage


# Bad input: one sentence.


def text_file(path: Path) -> None:
    path.write_text("hello, this is text", encoding="utf-8")


def truncated(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "cannot be read: No such file or directory"),
        (text_file, "not a picture in a supported format"),
        (truncated, "cannot be read: image file is truncated"),
        (Path.touch, "not a picture in a supported format"),
    ],
    ids=["missing", "text", "truncated", "empty"],
)
def test_a_bad_picture_is_refused(make: Callable[[Path], object], sentence: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.png"
    make(path)
    result = run("restore", path, "-o", tmp_path / "out.png", "-m", "bicubic")
    assert f"{path}: {sentence}" in result.sentence
    assert result.code == 1
    assert "out.png" not in files(tmp_path)


@pytest.mark.parametrize(
    ("name", "code", "sentence"),
    [
        ("nlnr", 2, "unknown architecture 'nlnr'; did you mean 'nlrn' (toolbox_nlrn)"),
        ("gone.safetensors", 1, "gone.safetensors: no such weights file"),
        ("nlrn", 1, "'nlrn' ships without weights; give the path of a weights file"),
        ("x" * 300, 2, ""),
    ],
    ids=["unknown", "missing", "without-weights", "long"],
)
def test_a_model_that_is_not_there_is_refused(
    name: str, code: int, sentence: str, run: Run, photo: Path, tmp_path: Path
) -> None:
    result = run("restore", photo, "-o", tmp_path / "out.png", "-m", name)
    assert sentence in result.sentence
    assert result.code == code
    assert files(tmp_path) == {"photo.png"}


def cut_in_half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def of_a_wrong_shape(path: Path) -> None:
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    save_file(load_file(path) | {"encoder.head.bias": torch.zeros(7)}, path, metadata)


def claims_ten_gigabytes(path: Path) -> None:
    path.write_bytes((10 * 10**9).to_bytes(8, "little") + path.read_bytes()[8:])


def without_a_spec(path: Path) -> None:
    save_file(load_file(path), path)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (cut_in_half, "not a readable safetensors file: "),
        (of_a_wrong_shape, "of another shape encoder.head.bias (got [7], expected [4])"),
        (claims_ten_gigabytes, "its header claims 10000000000; it is cut off or of another format"),
        (without_a_spec, "no spec in its header; expected a file that Toolbox wrote"),
        (text_file, "not a readable safetensors file: "),
    ],
)
def test_a_bad_weights_file_is_refused(
    damage: Callable[[Path], object], sentence: str, run: Run, photo: Path, weights: Path, tmp_path: Path
) -> None:
    damage(weights)
    for command in (("restore", photo, "-o", tmp_path / "out.png", "-m", weights), ("show", weights)):
        result = run(*command)
        if command[0] == "show" and damage is of_a_wrong_shape:
            continue  # it reads the spec, not the tensors
        assert result.sentence.startswith(f"{weights}: ")
        assert sentence in result.sentence
        assert result.code == 1
    assert "out.png" not in files(tmp_path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none/out.png", "none does not exist; create it first"),
        ("out.xyz", "no picture format has the suffix '.xyz'; use .png, .jpg, .tif or .webp"),
        ("photo.png", "photo.png is the input itself; choose another name"),
        ("./photo.png", "photo.png is the input itself; choose another name"),
        ("link.png", "link.png is the input itself; choose another name"),
        ("folder.png", "folder.png is a folder, expected the name of a picture file"),
        ("x" * 300 + ".png", ".png: "),
    ],
    ids=["folder", "suffix", "same", "same-again", "link", "is-folder", "long"],
)
@pytest.mark.parametrize("option", ["-o", "--compare"])
def test_a_bad_target_is_refused_before_the_work(
    option: str, name: str, sentence: str, run: Run, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolbox.images.engine.run.restore_tensor", None)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(photo)
    before, names = photo.read_bytes(), files(tmp_path)
    more = () if option == "-o" else ("-o", tmp_path / "out.png")
    result = run("restore", photo, option, f"{tmp_path}/{name}", *more, "-m", "bicubic")
    assert sentence in result.sentence
    assert result.code == 1
    assert photo.read_bytes() == before
    assert files(tmp_path) == names


def test_output_and_comparison_are_two_files(run: Run, photo: Path, tmp_path: Path) -> None:
    both = tmp_path / "out.png"
    result = run("restore", photo, "-o", both, "--compare", both, "-m", "bicubic")
    assert "out.png" in (result.usage if "Usage" in result.err else result.sentence)
    assert files(tmp_path) == {"photo.png"}


def test_a_folder_that_cannot_be_written_is_refused(
    run: Run, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    result = run("restore", photo, "-o", tmp_path / "out.png", "-m", "bicubic")
    assert result.sentence.endswith("out.png: cannot be written: Permission denied")
    assert result.code == 1


def test_a_size_that_the_model_does_not_make_is_refused(run: Run, photo: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "twice: {channels: 3, encoder: {name: edsr, channels: 4, blocks: 1}, decoder: {name: pixel-shuffle, scale: 2}}",
        encoding="utf-8",
    )
    result = run("restore", photo, "-o", tmp_path / "out.png", "-m", "twice", "--scale", "3", "--catalog", path)
    assert (
        "photo.png: got output size 36x27 for input 12x9, but the model enlarges 2 times; use diinn-lite" in result.err
    )
    assert result.code == 2
    assert "Traceback" not in result.err


@pytest.mark.parametrize("asked", [["--scale", "1e9"], ["--scale", "1e300"], ["--size", "9999999999x9999999999"]])
def test_a_size_that_no_memory_holds_is_refused(asked: list[str], run: Run, photo: Path, tmp_path: Path) -> None:
    assert run("restore", photo, "-o", tmp_path / "out.png", "-m", "bicubic", *asked).sentence
    assert "out.png" not in files(tmp_path)


def test_a_failure_leaves_the_picture_that_was_there(run: Run, photo: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jpg"
    output.write_bytes(b"an earlier result")
    read_picture(photo).convert("RGBA").save(tmp_path / "clear.png")
    result = run("restore", tmp_path / "clear.png", "-o", output, "-m", "bicubic")
    assert "out.jpg: cannot be written: JPEG holds no transparency; write PNG, TIFF or WebP" in result.sentence
    assert output.read_bytes() == b"an earlier result"


def test_debug_shows_the_traceback(run: Run, tmp_path: Path) -> None:
    arguments = ("restore", tmp_path / "none.png", "-o", tmp_path / "out.png", "-m", "bicubic")
    for command in (("--debug", *arguments), (*arguments, "--debug")):
        result = run(*command)
        assert result.code == 1
        assert "Traceback (most recent call last):" in result.err
        assert result.err.rstrip().splitlines()[-1].startswith("error: ")
