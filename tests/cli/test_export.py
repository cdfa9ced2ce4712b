"""``toolbox export`` on the command line, and restoring with what it wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.command import Run

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


def test_a_picture_is_restored_as_with_the_weights_file(run: Run, weights: Path, photo: Path, tmp_path: Path) -> None:
    program = tmp_path / "net.onnx"
    written = run("export", weights, "-o", program, "--any-size", "--license", "CC0-1.0", "--json").data
    assert (written["scale"], written["license"], written["tile"]) == ("any", "CC0-1.0", None)
    assert written["bytes"] == program.stat().st_size
    pictures = []
    for model in (weights, program):
        result = run("restore", photo, "-o", tmp_path / "out.png", "-m", model, "--scale", "2.5")
        assert result.code == 0, result
        with Image.open(tmp_path / "out.png") as picture:
            pictures.append(np.asarray(picture, int))
    assert pictures[0].shape == (23, 30, 3)
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_it_says_what_it_wrote(run: Run, weights: Path, tmp_path: Path) -> None:
    result = run("export", weights, "-o", tmp_path / "net", "--to", "pt2", "--scale", "2")
    assert result.out.startswith(f"wrote {tmp_path / 'net'}, 0.")
    assert "any batch, height and width; tiles with a halo of" in result.out


def test_wrong_usage_is_refused(run: Run, weights: Path, tmp_path: Path) -> None:
    assert run("export", weights, "-o", tmp_path / "net.pt2", "--opset", "18").usage.endswith(
        "expected it for onnx alone"
    )
    assert run("export", weights, "-o", tmp_path / "net.onnx", "--compile").usage.endswith("expected it for pt2 alone")
    assert run("export", weights, "-o", tmp_path / "net.onnx").sentence.startswith("got no size")
    assert "few runtimes" in run("export", weights, "-o", tmp_path / "net.onnx", "--dtype", "bfloat16").sentence
    assert run("export", "nothing", "-o", tmp_path / "net.onnx").code == 2
    assert not list(tmp_path.glob("net*.*x"))
