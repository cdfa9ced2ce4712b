"""``toolbox eval`` and ``toolbox show protocol``."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import toolbox
from tests.cli.command import Run
from tests.parts import restorer_of
from toolbox.evaluation import scoring
from toolbox.evaluation.protocols import PROTOCOLS
from toolbox.images.engine.run import restore_tensor

DENOISE = {"channels": 1, "encoder": {"name": "edsr", "channels": 4, "blocks": 1}, "decoder": "residual-conv"}


def draw(path: Path, *shape: int, seed: int = 0) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three color pictures."""
    for number, shape in enumerate(((20, 24, 3), (27, 18, 3), (24, 24, 3))):
        draw(tmp_path / "data" / f"{'abc'[number]}.png", *shape, seed=number)
    return tmp_path / "data"


@pytest.fixture
def denoiser(tmp_path: Path) -> Path:
    """The weights file of a tiny network that keeps the size."""
    path = tmp_path / "denoiser.safetensors"
    toolbox.save(restorer_of(DENOISE).float(), path)
    return path


# Scores


def test_several_models_are_scored_at_several_scales(run: Run, pictures: Path, weights: Path) -> None:
    result = run(
        *("eval", "-m", weights, "-m", "bicubic", "--data", pictures, "--protocol", "sr-y"),
        *("--scale", "2", "--scale", "1.5", "--json"),
    )
    assert (result.code, result.err) == (0, "")
    data = result.data
    assert data["protocol"]["name"] == "sr-y"
    assert data["protocol"]["shave"] == [1, 0]
    assert data["metrics"] == ["psnr", "ssim"]
    assert set(data["versions"]) == {"toolbox", "torch", "python"}
    assert set(data["models"][0]["plugins"]) == {"toolbox", "toolbox_diinn"}
    assert [model["name"] for model in data["models"]] == [str(weights), "bicubic"]
    assert data["models"][0]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert data["models"][1] == {
        "name": "bicubic",
        "parameters": 0,
        "sha256": None,
        "plugins": {"toolbox": data["versions"]["toolbox"]},
        "source": None,
    }
    assert {(row["model"], row["picture"], row["scale"]) for row in data["scores"]} == {
        (model, f"{letter}.png", scale)
        for model in (str(weights), "bicubic")
        for letter in "abc"
        for scale in (1.5, 2.0)
    }
    for mean in data["means"]:
        each = [row for row in data["scores"] if (row["model"], row["scale"]) == (mean["model"], mean["scale"])]
        assert mean["pictures"] == len(each) == 3
        assert mean["psnr"] == pytest.approx(sum(row["psnr"] for row in each) / 3)


def test_the_table_has_each_picture_and_the_means(run: Run, pictures: Path) -> None:
    out = run("eval", "-m", "bicubic", "--data", pictures, "--protocol", "denoise-color", "--sigma", "15").out
    for word in ("a.png", "b.png", "c.png", "denoise-color", "σ = 15", "PSNR", "parameters", "s/MP"):
        assert word in out


def test_the_same_command_gives_the_same_scores_whatever_the_workers(run: Run, pictures: Path, weights: Path) -> None:
    command = ("eval", "-m", weights, "--data", pictures, "--protocol", "diinn", "--scale", "2.5", "--json")
    found = [run(*command, *more).data for more in ((), (), ("--workers", "2"), ("--workers", "3"))]
    kept = [
        [{k: v for k, v in row.items() if k not in ("seconds", "peak_memory")} for row in data["scores"]]
        for data in found
    ]
    assert kept[0] == kept[1] == kept[2] == kept[3]


def test_noise_is_the_same_whatever_the_workers(run: Run, pictures: Path, denoiser: Path) -> None:
    command = ("eval", "-m", denoiser, "--data", pictures, "--protocol", "denoise-gray", "--json")
    first, second = (run(*command, "--workers", count).data["scores"] for count in ("1", "2"))
    assert [row["psnr"] for row in first] == [row["psnr"] for row in second]


def test_metrics_can_be_added(run: Run, pictures: Path) -> None:
    command = ("eval", "-m", "bicubic", "--data", pictures, "--protocol", "denoise-gray", "--json")
    assert run(*command, "--metric", "ssim").data["metrics"] == ["psnr", "ssim"]
    assert run(*command, "--metric", "psrn").sentence.startswith("unknown metric 'psrn'; did you mean 'psnr'")


def test_pairs_come_from_two_folders(run: Run, tmp_path: Path) -> None:
    draw(tmp_path / "hr" / "a.png", 20, 24, 3)
    draw(tmp_path / "lr" / "ax2.png", 10, 12, 3)
    result = run(
        *("eval", "-m", "bicubic", "--data", tmp_path / "hr", "--lr", tmp_path / "lr"), "--protocol", "sr-y", "--json"
    )
    assert [(row["picture"], row["scale"]) for row in result.data["scores"]] == [("a.png", 2.0)]
    assert result.data["low"] == str(tmp_path / "lr")


def test_csv_and_markdown(run: Run, pictures: Path) -> None:
    command = ("eval", "-m", "bicubic", "--data", pictures, "--protocol", "diinn", "--scale", "2")
    rows = list(csv.DictReader(io.StringIO(run(*command, "--csv").out)))
    assert [(row["protocol"], row["picture"]) for row in rows] == [("diinn", f"{letter}.png") for letter in "abc"]
    assert all(math.isfinite(float(row["lr-psnr"])) for row in rows)
    markdown = run(*command, "--markdown").out
    assert markdown.startswith("| model | scale | PSNR | SSIM | LR-PSNR | parameters |")
    assert "| bicubic | ×2 | " in markdown
    assert run(*command, "--csv", "--json").usage.startswith(
        "Invalid value: got several of --json, --csv and --markdown"
    )


def test_a_model_of_one_scale_is_scored_at_that_scale(run: Run, pictures: Path, tmp_path: Path) -> None:
    spec = {**DENOISE, "channels": 3, "decoder": {"name": "pixel-shuffle", "scale": 2, "channels": 4}}
    toolbox.save(restorer_of(spec).float(), tmp_path / "x2.safetensors")
    command = ("eval", "-m", tmp_path / "x2.safetensors", "--data", pictures, "--protocol", "sr-y", "--json")
    assert {row["scale"] for row in run(*command, "--scale", "2", "--scale", "3").data["scores"]} == {2.0}
    assert run(*command, "--scale", "3").sentence.endswith("enlarges by 2, but sr-y was asked for scale 3")


# What is written


def test_pictures_are_saved_by_model(run: Run, pictures: Path, weights: Path, tmp_path: Path) -> None:
    run(
        *("eval", "-m", weights, "-m", "bicubic", "--data", pictures, "--protocol", "sr-y", "--scale", "2"),
        *("--save", tmp_path / "out"),
    )
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png")) == [
        f"{model}/{letter}_x2.png" for model in ("bicubic", "net") for letter in "abc"
    ]
    with Image.open(tmp_path / "out" / "bicubic" / "b_x2.png") as saved:
        assert saved.size == (18, 26)  # what the low resolution covers


def test_models_of_one_name_are_not_saved_over_each_other(
    run: Run, pictures: Path, weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = weights.rename(tmp_path / "other" / "bicubic.safetensors")
    command = ("eval", "-m", other, "-m", "bicubic", "--data", pictures, "--protocol", "sr-y", "--scale", "2")
    assert "the same folder" in run(*command, "--save", tmp_path / "out").sentence


def test_a_sheet_and_a_plot_are_drawn(run: Run, pictures: Path, weights: Path, tmp_path: Path) -> None:
    sheet, plot = tmp_path / "sheet.png", tmp_path / "plot.png"
    command = ("eval", "-m", weights, "--data", pictures, "--protocol", "diinn", "--sheet", sheet, "--plot", plot)
    result = run(*command, "--scale", "2", "--json")
    assert result.code == 0
    assert {model["name"] for model in result.data["models"]} == {str(weights), "bicubic"}  # the baseline
    assert result.err == f"wrote {sheet}\nwrote {plot}\n"
    for path in (sheet, plot):
        with Image.open(path) as image:
            assert min(image.size) > 200


def test_a_plot_without_scales_goes_from_one_and_a_half_to_eight(run: Run, pictures: Path, tmp_path: Path) -> None:
    result = run(
        *("eval", "-m", "bicubic", "--data", pictures, "--protocol", "diinn"),
        *("--plot", tmp_path / "plot.png", "--json"),
    )
    scales = {mean["scale"] for mean in result.data["means"]}
    assert (min(scales), max(scales), len(scales)) == (1.5, 8.0, 14)


def test_a_file_in_the_place_of_the_folder_is_refused(run: Run, pictures: Path, weights: Path) -> None:
    command = ("eval", "-m", "bicubic", "--data", pictures, "--protocol", "sr-y", "--scale", "2", "--save", weights)
    assert run(*command).sentence.startswith(f"{weights / 'bicubic'}: the folder cannot be created: ")


@pytest.mark.parametrize("option", ["--sheet", "--plot", "--results"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_scored(
    run: Run, pictures: Path, tmp_path: Path, option: str
) -> None:
    command = ("eval", "-m", "bicubic", "--data", pictures, "--protocol", "denoise-gray")
    assert "does not exist; create it first" in run(*command, option, tmp_path / "nowhere" / "a.png").sentence


# Going on


def test_an_interrupted_run_goes_on_from_what_is_scored(
    run: Run, pictures: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("eval", "-m", weights, "--data", pictures, "--protocol", "diinn", "--scale", "2", "--json")
    expected = run(*command).data["scores"]
    restored, original = [], restore_tensor

    def interrupted(*arguments: object, **more: object) -> torch.Tensor:
        restored.append(1)
        if len(restored) == 3:
            raise KeyboardInterrupt
        return original(*arguments, **more)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(scoring, "restore_tensor", interrupted)
    results = tmp_path / "scores.json"
    assert run(*command, "--results", results).code != 0
    assert len(json.loads(results.read_text())["scores"]) == 2
    found = run(*command, "--results", results)
    assert len(restored) == 4  # the third again, and no other
    assert [(row["picture"], row["psnr"]) for row in found.data["scores"]] == [
        (row["picture"], row["psnr"]) for row in expected
    ]
    assert json.loads(results.read_text()) == found.data
    run(*command, "--results", results)
    assert len(restored) == 4
    draw(pictures / "b.png", 22, 22, 3, seed=9)
    run(*command, "--results", results)
    assert len(restored) == 5  # that picture is another one now


def test_scores_of_other_weights_are_not_gone_on_from(run: Run, pictures: Path, weights: Path, tmp_path: Path) -> None:
    command = ("eval", "-m", weights, "--data", pictures, "--protocol", "diinn", "--scale", "2")
    run(*command, "--results", tmp_path / "scores.json")
    toolbox.save(toolbox.build("bicubic"), weights)
    assert f"holds scores of another '{weights}'" in run(*command, "--results", tmp_path / "scores.json").sentence


def test_scores_of_another_protocol_never_stand_in_one_table(run: Run, pictures: Path, tmp_path: Path) -> None:
    command = ("eval", "-m", "bicubic", "--data", pictures, "--scale", "2", "--results", tmp_path / "scores.json")
    run(*command, "--protocol", "diinn")
    sentence = run(*command, "--protocol", "sr-y").sentence
    assert sentence.endswith("holds scores of protocol diinn, these are of sr-y; choose another file for the results")


# What cannot be scored


def test_pictures_that_fail_are_listed_and_the_rest_go_on(run: Run, pictures: Path) -> None:
    draw(pictures / "tiny.png", 3, 9, 3)
    (pictures / "damaged.png").write_bytes((pictures / "a.png").read_bytes()[:80])
    draw(pictures / "gray.png", 16, 16)
    result = run("eval", "-m", "bicubic", "--data", pictures, "--protocol", "sr-y", "--scale", "2", "--json")
    assert result.code == 1
    assert {row["picture"] for row in result.data["scores"] if not row["error"]} == {
        "a.png",
        "b.png",
        "c.png",
        "gray.png",
    }
    lines = result.err.splitlines()
    assert "note: gray.png: a gray picture, scored as equal channels of color" in lines
    assert any(line.startswith("failed: damaged.png by bicubic: ") for line in lines)
    assert (
        "failed: tiny.png by bicubic: got a picture of 8x2, expected one larger than the 2 px left out all round"
        in lines
    )


def test_a_network_that_runs_out_of_memory_is_listed(run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*_: object, **__: object) -> torch.Tensor:
        raise RuntimeError("not enough memory\nat line 7")

    monkeypatch.setattr(scoring, "restore_tensor", greedy)
    result = run("eval", "-m", "bicubic", "--data", pictures, "--protocol", "denoise-gray", "--json")
    assert result.code == 1
    assert [row["error"] for row in result.data["scores"]] == ["not enough memory"] * 3
    assert result.data["means"] == []


def test_an_original_without_low_resolution_is_listed(run: Run, tmp_path: Path) -> None:
    draw(tmp_path / "a_HR.png", 30, 30, 3)
    draw(tmp_path / "a_LR.png", 15, 15, 3)
    draw(tmp_path / "b_HR.png", 30, 30, 3)
    draw(tmp_path / "c_HR.png", 30, 30, 3)
    draw(tmp_path / "c_LR.png", 15, 12, 3)
    result = run("eval", "-m", "bicubic", "--data", tmp_path, "--protocol", "sr-y")
    assert result.code == 1
    assert "b_LR.png is missing, expected the partner of b_HR.png" in result.err
    assert "got a pair of 30x30 and 12x15 pixels, expected the same scale on both axes" in result.err


def test_identical_pictures_are_noted(run: Run, pictures: Path) -> None:
    result = run("eval", "-m", "bicubic", "--data", pictures, "--protocol", "denoise-gray", "--sigma", "0", "--json")
    assert result.code == 0
    assert [row["psnr"] for row in result.data["scores"]] == [None] * 3
    assert "note: a.png: identical to the original: its PSNR is infinite, and left out of the mean" in result.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--protocol", "sr-x"), "unknown protocol 'sr-x'; did you mean 'sr-y' (toolbox)?"),
        (("--protocol", "sr-y", "--scale", "2", "--sigma", "15"), "got sigma 15, but sr-y adds no noise; leave it out"),
        (("--protocol", "sr-y", "--scale", "2", "--quality", "9"), "got quality 9, but sr-y does not compress"),
        (("--protocol", "denoise-gray", "--scale", "2"), "got low resolution or scales, but denoise-gray adds noise"),
    ],
)
def test_what_does_not_fit_the_protocol_is_refused(
    run: Run, pictures: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    assert run("eval", "-m", "bicubic", "--data", pictures, *arguments).sentence.startswith(sentence)


def test_a_model_that_keeps_the_size_is_refused_for_enlarging(run: Run, pictures: Path, denoiser: Path) -> None:
    command = ("eval", "-m", denoiser, "--data", pictures, "--protocol", "sr-y", "--scale", "2")
    assert run(*command).sentence.endswith("keeps the size, but sr-y was asked for scale 2")


def test_an_empty_folder_is_refused(run: Run, tmp_path: Path) -> None:
    sentence = run("eval", "-m", "bicubic", "--data", tmp_path, "--protocol", "denoise-gray").sentence
    assert "nothing to score, expected pictures" in sentence


def test_artifacts_are_scored_at_the_asked_quality(run: Run, pictures: Path) -> None:
    command = ("eval", "-m", "bicubic", "--data", pictures, "--protocol", "jpeg", "--json")
    results = [run(*command, "--quality", str(quality)).data for quality in (10, 90)]
    assert [result["quality"] for result in results] == [10, 90]
    means = [result["means"][0]["psnr"] for result in results]
    assert means[0] < means[1]
    assert run(*command).data["quality"] == 40


# toolbox show protocol


@pytest.mark.parametrize("name", [protocol.name for protocol in PROTOCOLS])
def test_a_protocol_is_shown_in_full(run: Run, name: str) -> None:
    data = run("show", "protocol", name, "--json").data
    assert data["name"] == name
    text = run("show", "protocol", name).out
    assert all(str(value) in text for value in data.values())


def test_protocols_are_listed_by_either_word(run: Run) -> None:
    assert run("list", "protocols").out == run("list", "protocol").out
    assert all(protocol.name in run("list").out for protocol in PROTOCOLS)


def test_an_unknown_protocol_has_close_names(run: Run) -> None:
    sentence = run("show", "protocol", "denoise-grey").sentence
    assert sentence.startswith("unknown protocol 'denoise-grey'; did you mean 'denoise-gray' (toolbox)")
    assert (
        run("show", "edsr", "rdn").usage
        == "Invalid value: got 'edsr rdn', expected one name, or a kind such as protocol and a name"
    )
