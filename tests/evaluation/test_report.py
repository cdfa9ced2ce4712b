"""Reports: means, tables, and going on from a file."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toolbox.errors import SpecError
from toolbox.evaluation.cases import Case
from toolbox.evaluation.report import ModelFacts, Report, read_report, resume, write_report
from toolbox.evaluation.scoring import Score

SHA = "0123456789abcdef" * 4


def score(model: str, picture: str, psnr: float, scale: float = 2.0, seconds: float = 1.0) -> Score:
    return Score(
        picture, scale, {"psnr": psnr}, seconds=seconds, megapixels=0.5, peak_memory=2_000_000, model=model, sha256="a"
    )


def report(*scores: Score, **changes: Any) -> Report:
    fields: dict[str, Any] = {
        "protocol": {"name": "sr-y", "rounds": True},
        "data": "set5",
        "low": None,
        "sigma": None,
        "quality": None,
        "metrics": ["psnr"],
        "versions": {"toolbox": "0.1.0"},
        "models": [ModelFacts("net", 1234, SHA, {"toolbox_net": "2"}), ModelFacts("bicubic", 0, None, {})],
        "scores": list(scores),
    }
    return Report(**fields | changes)


def test_means_are_of_each_model_and_scale() -> None:
    found = report(
        score("net", "a", 30.0, seconds=1),
        score("net", "b", 32.0, seconds=2),
        score("net", "c", 31.0, seconds=9),
        score("net", "a", 20.0, scale=4),
        score("bicubic", "a", 25.0),
    ).means()
    assert [(row["model"], row["scale"], row["pictures"], row["psnr"]) for row in found] == [
        ("net", 2.0, 3, 31.0),
        ("bicubic", 2.0, 1, 25.0),
        ("net", 4.0, 1, 20.0),
    ]
    assert found[0]["seconds_per_megapixel"] == 4.0  # the median, so that warming up does not count
    assert found[0]["peak_memory"] == 2_000_000


def test_an_infinite_score_is_left_out_of_the_mean_and_is_null_in_json() -> None:
    found = report(score("net", "a", math.inf), score("net", "b", 32.0))
    assert found.means()[0]["psnr"] == 32.0
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert [row["psnr"] for row in document["scores"]] == [None, 32.0]
    assert report(score("net", "a", math.inf)).means()[0]["psnr"] == math.inf
    assert "| net | ×2 | inf |" in report(score("net", "a", math.inf)).markdown()


def test_a_mean_of_fewer_pictures_says_so() -> None:
    failed = Score("b", 2.0, {}, error="no", model="bicubic")
    found = report(score("net", "a", 30.0), score("net", "b", 32.0), score("bicubic", "a", 25.0), failed)
    assert found.failures() == [failed]
    assert [row[2] for row in found.summary_table()[1]] == ["31.00", "25.00 (1 of 2)"]
    assert found.picture_table() == (
        ["picture", "scale", "net PSNR", "bicubic PSNR"],
        [["a", "×2", "30.00", "25.00"], ["b", "×2", "32.00", "—"]],
    )


def test_the_summary_has_parameters_cost_and_the_weights_hash() -> None:
    header, rows = report(score("net", "a", 30.0), score("bicubic", "a", 25.0)).summary_table()
    assert header == ["model", "scale", "PSNR", "parameters", "s/MP", "peak MB", "weights"]
    assert rows[0] == ["net", "×2", "30.00", "1,234", "2.00", "2", "01234567"]
    assert rows[1][-1] == ""


def test_without_another_scale_than_one_it_is_not_shown() -> None:
    found = report(score("net", "a", 30.0, scale=1))
    assert found.summary_table()[0][:2] == ["model", "PSNR"]
    assert found.picture_table() == (["picture", "net PSNR", "bicubic PSNR"], [["a", "30.00", "—"]])


def test_markdown_carries_the_protocol_and_the_versions() -> None:
    lines = report(score("net", "a", 30.0), sigma=25.0).markdown().splitlines()
    assert lines[1] == "| --- | --: | --: | --: | --: | --: | --: |"
    assert "*sr-y on set5, σ = 25; toolbox 0.1.0, toolbox_net 2*" in lines


def test_csv_has_a_line_for_each_score_in_full_precision() -> None:
    failed = Score("b", 0.0, {}, error="missing", model="net")
    found = list(csv.DictReader(io.StringIO(report(score("net", "a", 1 / 3), failed).csv())))
    assert [(row["protocol"], row["picture"], row["error"]) for row in found] == [
        ("sr-y", "a", ""),
        ("sr-y", "b", "missing"),
    ]
    assert float(found[0]["psnr"]) == 1 / 3
    assert found[1]["psnr"] == found[1]["scale"] == ""
    assert report().csv().startswith("protocol,model,picture,scale,psnr")


# Going on


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    before = report(
        replace(score("net", "a", math.inf), notes=("identical",)),
        Score("b", 0.0, {}, error="missing", model="net"),
    )
    write_report(before, tmp_path / "scores.json")
    assert read_report(tmp_path / "scores.json") == before


def case(folder: Path, name: str, content: bytes = b"picture") -> Case:
    (folder / name).write_bytes(content)
    return Case(folder / name, None, 2.0)


def test_going_on_keeps_the_models_and_the_scores_of_pictures_that_are_the_same(tmp_path: Path) -> None:
    cases = [case(tmp_path, name) for name in "abc"]
    scores = [replace(score("net", each.original.name, 30.0), sha256=each.sha256()) for each in cases]
    path = tmp_path / "scores.json"
    write_report(report(*scores), path)
    cases[1] = case(tmp_path, "b", b"another picture")
    more = resume(report(models=[ModelFacts("other", 5, None, {})]), path, cases[:2])
    assert [model.name for model in more.models] == ["net", "bicubic", "other"]
    assert more.scores == scores[:1]
    assert resume(report(), tmp_path / "new.json", cases) == report()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"protocol": {"name": "diinn"}}, "holds scores of protocol sr-y, these are of diinn"),
        ({"data": "set14"}, "holds scores of data set5, these are of set14"),
        ({"low": "_LR"}, "holds scores of low None, these are of _LR"),
        ({"sigma": 25.0}, "holds scores of sigma None, these are of 25.0"),
        ({"models": [ModelFacts("net", 1234, None, {})]}, "holds scores of another 'net'"),
    ],
)
def test_scores_that_do_not_compare_stay_apart(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    path = tmp_path / "scores.json"
    write_report(report(score("net", "a", 30.0)), path)
    text = path.read_text(encoding="utf-8")
    with pytest.raises(SpecError, match=rf"{complaint}; choose another file for the results$"):
        resume(report(**change), path, [])
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"scores": 3, "metrics": []}', "\x00"])
def test_a_file_without_scores_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scores.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=r"scores\.json: cannot be read as scores"):
        read_report(path)


def test_only_what_did_not_fail_is_found(tmp_path: Path) -> None:
    picture, found = case(tmp_path, "a"), report()
    assert found.find("net", picture) is None
    found.add(Score("a", 2.0, {}, error="no memory", model="net"))
    assert found.find("net", picture) is None
    made = score("net", "a", 30.0)
    found.add(made)
    assert found.scores == [made]
    assert found.find("net", picture) == made
    assert found.find("net", replace(picture, scale=None)) == made
    assert found.find("net", replace(picture, scale=3.0)) is None
    assert found.find("bicubic", picture) is None
