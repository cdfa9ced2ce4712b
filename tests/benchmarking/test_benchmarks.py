"""The script in benchmarks/ writes its table into the page of the documentation, and nothing else there."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

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
