"""``--shard`` splits a folder among jobs, and ``toolbox summarize`` adds up what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import Run
from tests.serving.client import png


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("scans/sub").mkdir(parents=True)
    for number in range(6):
        Path(f"scans/{number}.png").write_bytes(png(6, 8, seed=number))
    Path("scans/sub/0.png").write_bytes(png(6, 8, seed=9))
    return Path("scans")


def test_shards_do_together_what_one_run_does(run: Run, scans: Path, weights: Path) -> None:
    words = ("restore", scans, "-r", "-m", weights, "--scale", "2", "--json")
    whole = run(*words, "-o", "whole/").data
    shards = [run(*words, "-o", "parts/", "--shard", f"{number}/3").data for number in (1, 2, 3)]
    inputs = [record["input"] for shard in shards for record in shard["files"]]
    assert sorted(inputs) == sorted(record["input"] for record in whole["files"])
    assert sum(shard["restored"] for shard in shards) == 7
    for path in Path("whole").rglob("*.png"):
        assert (Path("parts") / path.relative_to("whole")).read_bytes() == path.read_bytes()


def test_a_shard_without_pictures_is_done_at_once(run: Run, scans: Path, weights: Path) -> None:
    counts = [
        run("restore", scans, "-o", "out/", "-m", weights, "--shard", f"{n}/40", "--json").data for n in range(1, 41)
    ]
    assert sum(count["restored"] for count in counts) == 6
    assert sum(not count["files"] for count in counts) >= 34


def test_a_shard_that_was_killed_is_run_again_and_does_the_rest(run: Run, scans: Path, weights: Path) -> None:
    words = ("restore", scans, "-r", "-o", "out/", "-m", weights, "--shard", "1/1", "--skip-existing", "--json")
    run(*words)
    Path("out/3.png").unlink()
    again = run(*words).data
    assert (again["restored"], again["skipped"]) == (1, 6)


def test_what_exists_is_skipped_before_a_model_is_chosen(
    run: Run, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("restore", scans, "-o", "out/")
    monkeypatch.setattr("toolbox.images.models.inspect_file", lambda _: pytest.fail("it looked at a picture"))
    assert run("restore", scans, "-o", "out/", "--skip-existing", "--json").data["skipped"] == 6


@pytest.mark.parametrize("shard", ["0/3", "4/3", "x"])
def test_a_wrong_shard_is_refused(shard: str, run: Run, scans: Path) -> None:
    assert run("restore", scans, "-o", "out/", "--shard", shard).sentence.startswith(
        f"got the shard '{shard}', expected"
    )


def test_reports_are_added_up(run: Run, scans: Path, weights: Path) -> None:
    Path("scans/broken.png").write_bytes(b"no picture")
    reports = []
    for number in (1, 2, 3):
        reports.append(Path(f"report-{number}.json"))
        words = ("restore", scans, "-r", "-o", "out/", "-m", weights, "--scale", "2", "--json")
        reports[-1].write_text(run(*words, "--shard", f"{number}/3").out, encoding="utf-8")
    result = run("summarize", *reports, "--json")
    assert result.code == 1
    expected = {"files": 8, "restored": 7, "skipped": 0, "planned": 0, "failed": 1, "megapixels": 7 * 12 * 16 / 1e6}
    assert {key: result.data[key] for key in expected} == expected
    assert result.data["models"] == {str(weights): 7}
    assert [record["input"] for record in result.data["failures"]] == ["scans/broken.png"]

    Path("scans/broken.png").write_bytes(png(6, 8))
    last = Path("again.json")
    again = run("restore", scans, "-r", "-o", "out/", "-m", weights, "--scale", "2", "--skip-existing", "--json")
    last.write_text(again.out, encoding="utf-8")
    result = run("summarize", *reports, last)
    assert result.code == 0
    assert result.out.splitlines()[:3] == [
        "reports          4",
        "files            8",
        "restored         8  0.0 megapixels in 0 s",
    ]
    assert result.out.splitlines()[3] == "failed           0"


def test_the_report_of_one_file_and_lines_of_a_watch_count_too(
    run: Run, photo: Path, weights: Path, tmp_path: Path
) -> None:
    one = json.dumps(run("restore", photo, "-o", tmp_path / "out.png", "-m", weights, "--json").data)
    report = tmp_path / "report.json"
    report.write_text(f"{one}\n{one.replace('photo', 'other')}\n", encoding="utf-8")
    assert run("summarize", report, "--json").data["files"] == 2


@pytest.mark.parametrize(
    "text", ["", "no report", '{"files": [{"input": 1}]}', '{"files": [{"input": "a"', "[1]", '{"a": 1}']
)
def test_what_is_no_report_is_refused(text: str, run: Run, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(text, encoding="utf-8")
    assert run("summarize", report).sentence == (
        f"{report}: expected a report of `toolbox restore --json`; the run may have been interrupted"
    )


def test_a_report_that_is_missing_is_refused(run: Run, tmp_path: Path) -> None:
    assert run("summarize", tmp_path / "none.json").sentence.endswith(
        "none.json: cannot be read: No such file or directory"
    )
