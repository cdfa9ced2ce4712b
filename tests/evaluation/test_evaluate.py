"""``toolbox.evaluate``: the same scores as the command's, from names, files and restorers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import toolbox
from tests.parts import restorer_of
from toolbox.discovery import installed
from toolbox.errors import ImageError, SpecError, UnknownComponent
from toolbox.evaluation import scoring
from toolbox.evaluation.report import Report
from toolbox.evaluation.scoring import Score, score_folder
from toolbox.restorer import Restorer

SPEC = {"channels": 1, "encoder": {"name": "edsr", "channels": 4, "blocks": 1}, "decoder": "residual-conv"}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two gray pictures."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, seed in (("a", 0), ("b", 1)):
        values = np.random.default_rng(seed).integers(0, 256, (20, 18), dtype=np.uint8)
        Image.fromarray(values).save(folder / f"{name}.png")
    return folder


def denoiser(summary: str = "", seed: int = 0) -> Restorer:
    torch.manual_seed(seed)
    return toolbox.build({**SPEC, "summary": summary}).eval()


def values_of(report: Report) -> list[tuple[str, str, float]]:
    return [(score.model, score.picture, score.psnr) for score in report.scores]


def test_the_scores_are_those_of_each_picture_by_the_protocol(pictures: Path) -> None:
    restorer = denoiser("mine")
    report = toolbox.evaluate(restorer, pictures, "denoise-gray", sigma=15)
    expected = score_folder(restorer, pictures, installed().protocols["denoise-gray"], 15)
    assert [(score.picture, score.psnr) for score in report.scores] == [(s.picture, s.psnr) for s in expected]
    assert [model.name for model in report.models] == ["mine"]
    assert (report.sigma, report.metrics, report.failures()) == (15, ["psnr"], [])
    (mean,) = report.means()
    assert mean["psnr"] == pytest.approx(sum(score.psnr for score in report.scores) / 2)


def test_a_name_a_file_and_a_restorer_stand_in_one_report(pictures: Path, tmp_path: Path) -> None:
    restorer, path = restorer_of(SPEC).float(), tmp_path / "net.safetensors"
    toolbox.save(restorer, path)
    report = toolbox.evaluate(["bicubic", path, "bicubic", restorer], str(pictures), "denoise-gray")
    assert [model.name for model in report.models] == ["bicubic", str(path), "network"]
    by_model = {
        name: [value for model, _, value in values_of(report) if model == name] for name in (str(path), "network")
    }
    assert by_model[str(path)] == by_model["network"]
    assert report.sigma == 25
    assert report.models[2].sha256 is not None


def test_low_resolution_is_made_by_each_scale(pictures: Path) -> None:
    report = toolbox.evaluate("bicubic", pictures, "diinn", scales=[2, 1.5])
    assert {(score.picture, score.scale) for score in report.scores} == {
        (n, s) for n in ("a.png", "b.png") for s in (2, 1.5)
    }
    assert all(math.isfinite(score.values["lr-psnr"]) for score in report.scores)


def test_each_score_is_told_with_how_many_there_are(pictures: Path) -> None:
    told: list[tuple[str, int, int]] = []

    def tell(score: Score, done: int, total: int) -> None:
        told.append((score.picture, done, total))

    toolbox.evaluate("bicubic", pictures, "denoise-gray", workers=2, on_score=tell)
    assert told == [("a.png", 1, 2), ("b.png", 2, 2)]


def test_results_are_kept_and_not_made_again(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, restorer = tmp_path / "scores.json", denoiser("mine")
    first = toolbox.evaluate(restorer, pictures, "denoise-gray", results=results)
    assert json.loads(results.read_text(encoding="utf-8")) == json.loads(json.dumps(first.document()))
    monkeypatch.setattr(scoring, "restore_tensor", None)  # nothing is restored again
    assert values_of(toolbox.evaluate(restorer, pictures, "denoise-gray", results=results)) == values_of(first)
    with pytest.raises(SpecError, match=r"scores\.json holds scores of another 'mine'; choose another file"):
        toolbox.evaluate(denoiser("mine", seed=1), pictures, "denoise-gray", results=results)


def test_pictures_and_a_sheet_are_written(pictures: Path, tmp_path: Path) -> None:
    report = toolbox.evaluate(
        "bicubic", pictures, "diinn", scales=[2], save=tmp_path / "out", sheet=tmp_path / "sheet.png"
    )
    assert sorted(path.name for path in (tmp_path / "out" / "bicubic").iterdir()) == ["a_x2.png", "b_x2.png"]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height > sheet.width / 2 > 200
    assert len(report.scores) == 2


def test_a_picture_that_fails_does_not_stop_the_others(pictures: Path) -> None:
    (pictures / "0.png").write_bytes(b"no picture")
    report = toolbox.evaluate("bicubic", pictures, "denoise-gray")
    (failure,) = report.failures()
    assert (failure.picture, "not a picture" in failure.error) == ("0.png", True)
    assert len(report.scores) == 3


def test_what_cannot_be_scored_is_refused_before_anything_is_restored(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "restore_tensor", None)
    refused: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (UnknownComponent, "unknown protocol 'denoise-grey'; did you mean", {"protocol": "denoise-grey"}),
        (UnknownComponent, "unknown architecture 'bicubik'", {"models": "bicubik"}),
        (ImageError, "is not a folder, expected one with pictures", {"data": tmp_path / "none"}),
        (SpecError, "got low resolution or scales, but denoise-gray adds noise", {"scales": [2]}),
        (SpecError, "got sigma 15, but sr-y adds no noise; leave it out", {"protocol": "sr-y", "sigma": 15}),
        (
            SpecError,
            "the folder .*none does not exist; create it first",
            {"results": tmp_path / "none" / "scores.json"},
        ),
        (ImageError, "the folder .*none does not exist; create it first", {"sheet": tmp_path / "none" / "sheet.png"}),
        (SpecError, "unknown metric 'psrn'; did you mean 'psnr'", {"metrics": ["psrn"]}),
        (SpecError, "got two models called 'mine'", {"models": [denoiser("mine"), denoiser("mine")]}),
    ]
    usual: dict[str, Any] = {"models": "bicubic", "data": pictures, "protocol": "denoise-gray"}
    for error, message, changes in refused:
        with pytest.raises(error, match=message):
            toolbox.evaluate(**{**usual, **changes})
