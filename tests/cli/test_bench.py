"""``toolbox bench``: a table, JSON and a chart."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from tests.cli.command import Run


def test_parts_and_networks_stand_in_one_table(run: Run, tmp_path: Path) -> None:
    written, chart = tmp_path / "bench.json", tmp_path / "bench.png"
    names = ("local-ensemble", "bicubic")
    result = run("bench", *names, "--size", "8x6", "--repeats", "1", "--json", written, "--plot", chart)
    lines = result.out.splitlines()
    assert lines[0].startswith("| name | than plain | of the peak |")
    assert [line.split("|")[1].strip() for line in lines[2:4]] == list(names)
    assert "x faster" in lines[2]
    assert "PyTorch" in lines[-1]
    report = json.loads(written.read_text())
    assert [row["name"] for row in report["rows"]] == list(names)
    assert report["rows"][0]["difference"] < 1e-5
    with Image.open(chart) as picture:
        assert picture.width > 100


def test_an_unknown_name_is_refused(run: Run) -> None:
    assert "got 'nothing-like-it', expected an architecture" in run("bench", "nothing-like-it").sentence
