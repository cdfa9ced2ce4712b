"""Networks that are told something beside the image, from a recipe to a restored picture."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from tests.cli.command import Run
from tests.parts import restorer_of
from tests.test_conditions import DENOISER, MISSING
from tests.training.runs import write_pictures
from toolbox.weights.file import save


def test_the_command_takes_it(run: Run, tmp_path: Path) -> None:
    weights = tmp_path / "told.safetensors"
    save(restorer_of(DENOISER).float(), weights)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 9), dtype=np.uint8)).save(tmp_path / "in.png")
    arguments = ("restore", tmp_path / "in.png", "-m", weights, "-o")
    assert run(*arguments, tmp_path / "a.png", "--sigma", "40").code == 0
    assert run(*arguments, tmp_path / "b.png", "--condition", "sigma=40").code == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    refused = run(*arguments, tmp_path / "c.png")
    assert refused.code == 2
    assert re.match(MISSING, refused.sentence)
    assert not (tmp_path / "c.png").exists()
    assert run(*arguments, tmp_path / "c.png", "--sigma", "40", "--condition", "quality=3").sentence == (
        "got 'quality', but the network takes sigma; leave it out"
    )
    assert "got 'sigma', expected NAME=NUMBER" in run(*arguments, tmp_path / "c.png", "--condition", "sigma").err
    assert "is told  sigma (the noise level, of 255)" in run("show", weights).out


def test_a_conditioned_network_is_trained_scored_and_used(run: Run, tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data")
    recipe = {
        "model": DENOISER,
        "data": str(data),
        "degradation": {"name": "gaussian-noise", "sigma": [0, 50]},
        "patch": 8,
        "batch": 2,
        "budget": {"steps": 4},
        "validation": {"folder": str(data), "protocol": "denoise-gray", "sigma": 30},
    }
    (tmp_path / "told.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    assert run("train", tmp_path / "told.yaml", "--run", tmp_path / "run").code == 0
    weights = tmp_path / "run" / "told.safetensors"
    assert "--sigma NUMBER" in (tmp_path / "run" / "told.md").read_text(encoding="utf-8")
    means = [
        run("eval", "-m", weights, "--data", data, "--protocol", "denoise-gray", "--sigma", sigma, "--json").data[
            "means"
        ]
        for sigma in ("10", "40")
    ]
    assert means[0][0]["psnr"] > means[1][0]["psnr"]
    assert run("restore", data / "0.png", "-o", tmp_path / "out.png", "-m", weights, "--sigma", "25").code == 0
