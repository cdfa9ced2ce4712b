"""The scripts in benchmarks/ write their tables into pages of the documentation, and nothing else there."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "run.py"


def test_the_table_is_replaced_and_the_rest_of_the_page_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS.parent)
    script = runpy.run_path(str(BENCHMARKS))
    before, after = script["PAGE"].read_text(encoding="utf-8").split("| work | compared with | result | detail |\n")
    page = tmp_path / "speed.md"
    page.write_text(f"{before}| work | compared with | result | detail |\n{after}", encoding="utf-8")
    result = script["Result"]("work of a test", "plain", 12.345, "faster", "1 s")
    script["write_table"](script["row"](result), page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"{before}| work of a test | plain | **12.3× faster** | 1 s |\n\n<!-- end of table -->\n")
    assert text.endswith(after.split("<!-- end of table -->")[1])
    assert "dual-interactive" not in text.split("<!-- end of table -->")[0]


@pytest.fixture
def front() -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARKS.with_name("front.py")))


def test_published_networks_have_a_source_and_times_as_on_this_machine(front: dict[str, Any]) -> None:
    published = front["read_yaml"](BENCHMARKS.with_name("published.yaml"))
    assert published["points"].keys() == {panel.title for panel in front["PANELS"]}
    for title in published["points"]:
        as_measured = front["published_points"](published, title, published["peak"])
        twice_as_fast = front["published_points"](published, title, 2 * published["peak"])
        assert [2 * each.time for each in twice_as_fast] == pytest.approx([each.time for each in as_measured])
        assert all(each.source.startswith("https://") and 25 < each.psnr < 40 for each in as_measured)


def test_quality_over_time_is_written_into_its_page(
    front: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    page = tmp_path / "front.md"
    page.write_text("A.\n\n<!-- tables of benchmarks/front.py -->\n\nx\n\n<!-- end of tables -->\n\nB.\n", "utf-8")
    words = ["front.py", "--set5", tmp_path, "--set12", tmp_path, "--page", page, "--repeats", 1]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    monkeypatch.setitem(front["main"].__globals__, "SIDE", 32)
    front["main"]()
    text = page.read_text(encoding="utf-8")
    assert text.startswith("A.\n\n<!-- tables")
    assert text.endswith("<!-- end of tables -->\n\nB.\n")
    assert text.count("| **bicubic** |") == len(front["PANELS"])
    assert "**diinn-lite**" in text
    assert "**nlrn-lite**" in text
    assert page.with_suffix(".png").stat().st_size > 1000
