"""Every script in examples/ runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_demo_writes_better_pictures(tmp_path: Path) -> None:
    demo = [sys.executable, ROOT / "examples" / "demo.py", "--out", tmp_path]
    printed = subprocess.run(demo, check=True, capture_output=True, text=True).stdout
    for photo in ("camera", "coffee", "chelsea"):
        assert (tmp_path / f"{photo}-before-after.png").stat().st_size > 0
        assert f"{photo}-restored.png" in printed
    scores = [float(word) for word in printed.replace("dB", "").split() if word.replace(".", "").isdigit()]
    gains = [after - before for before, after in zip(scores[::2], scores[1::2], strict=True)]
    assert len(gains) == 3
    assert min(gains) > 0.5
