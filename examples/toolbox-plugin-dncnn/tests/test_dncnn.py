"""DnCNN against its formula, its published score, and every rule of Toolbox."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

import toolbox
from toolbox.testing import RuleCase, conformance_cases

SHARED = Path(__file__).parents[4] / "shared"  # reference data beside a checkout of Toolbox, where there are any
WEIGHTS = SHARED / "weights" / "dncnn_sigma25.safetensors"
SET12 = SHARED / "data" / "set12"


def published(width: int = 3, count: int = 4) -> dict[str, Tensor]:
    """Drawn weights in the published naming."""
    shapes = [(width, 1), *[(width, width)] * (count - 2), (1, width)]
    weights = {f"model.{2 * i}.weight": torch.randn(*shape, 3, 3) / 3 for i, shape in enumerate(shapes)}
    return weights | {f"model.{2 * i}.bias": torch.randn(shape[0]) for i, shape in enumerate(shapes)}


def denoised(weights: dict[str, Tensor], image: Tensor) -> Tensor:
    """DnCNN as it was published: the noise is taken off the input."""
    features, count = image, len(weights) // 2
    for i in range(count):
        features = F.conv2d(features, weights[f"model.{2 * i}.weight"], weights[f"model.{2 * i}.bias"], padding=1)
        features = features.relu() if i < count - 1 else features
    return image - features


def command(*arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "toolbox", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    path = tmp_path / "dncnn.safetensors"
    toolbox.save(toolbox.convert(published()), path)
    return path


@pytest.mark.parametrize("case", conformance_cases("toolbox_plugin_dncnn"), ids=str)
def test_conformance(case: RuleCase) -> None:
    case()


def test_converted_weights_give_what_the_published_network_gives() -> None:
    weights = published()
    image = torch.rand(2, 1, 9, 8)
    with torch.no_grad():
        torch.testing.assert_close(toolbox.convert(weights)(image), denoised(weights, image))


def test_the_published_network_has_its_published_size() -> None:
    restorer = toolbox.build("dncnn-s")
    assert restorer.receptive_field == 17
    assert sum(weight.numel() for weight in restorer.parameters() if weight.ndim > 1) == 554_112


def test_the_command_tells_the_noise_and_draws_it(weights_file: Path, tmp_path: Path) -> None:
    picture, drawn = tmp_path / "noisy.png", tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)).save(picture)
    assert "takes out has σ = " in command("noise", picture, "-m", weights_file, "-o", drawn)
    with Image.open(drawn) as image:
        assert image.size == (30, 20)


@pytest.mark.skipif(
    not (WEIGHTS.exists() and SET12.exists()), reason="DnCNN's published weights and Set12 are not here"
)
def test_the_published_weights_score_as_published_on_set12(tmp_path: Path) -> None:
    path = tmp_path / "dncnn.safetensors"
    command("convert", WEIGHTS, "-o", path)
    restorer = toolbox.load(path)
    image = torch.rand(1, 1, 40, 30)
    with torch.no_grad():
        torch.testing.assert_close(restorer(image), denoised(load_file(WEIGHTS), image), atol=1e-5, rtol=0)
    printed = command("eval", "-m", path, "--data", SET12, "--protocol", "dncnn", "--sigma", "25", "--json")
    (mean,) = json.loads(printed)["means"]
    assert mean["psnr"] == pytest.approx(30.43, abs=0.005)
