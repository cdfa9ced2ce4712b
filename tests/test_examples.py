"""Every script in examples/ runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import toolbox

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


def test_the_training_script_trains_and_resumes(tmp_path: Path) -> None:
    script = [sys.executable, ROOT / "examples" / "train_lite.py", "nlrn-lite", "--threads", "1"]
    folders = ["--pictures", ROOT / "examples" / "photos", "--run", tmp_path]
    first = subprocess.run([*script, *folders, "--minutes", "0.02"], check=True, capture_output=True, text=True)
    again = subprocess.run([*script, *folders, "--minutes", "0.04"], check=True, capture_output=True, text=True)
    steps = [int(run.stdout.split()[1]) for run in (first, again)]
    assert 0 < steps[0] < steps[1]
    trained = toolbox.load(tmp_path / "nlrn-lite.safetensors")
    assert trained.training_record["steps"] == steps[1]
    assert trained.training_record["degradation"] == "Gaussian noise, sigma 25"
