"""FFDNet against its formula and every rule of Toolbox; it trains, is scored, and restores at a given noise level."""

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
from torch import Tensor

import toolbox
from toolbox.testing import RuleCase, conformance_cases

RECIPE = """
model: {name: ffdnet-gray, global_skip: bicubic, encoder: {channels: 12, convolutions: 4}}  # learns in no time
start: {encoder.convolutions.3.weight: 0.05}
data: photos
degradation: {name: gaussian-noise, sigma: [0, 60]}
patch: 24
batch: 8
loss: mse
optimizer: {lr: 0.004}
average: 0.95
budget: {steps: 150}
trackers: []
"""


@pytest.mark.parametrize("case", conformance_cases("toolbox_plugin_ffdnet"), ids=str)
def test_conformance(case: RuleCase) -> None:
    case()


def formula(image: Tensor, sigma: float, weights: dict[str, Tensor], count: int) -> Tensor:
    """FFDNet as the paper has it: four images of half the size and a noise map, convolved."""
    quarters = [image[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
    features = torch.cat((*quarters, torch.full_like(quarters[0], sigma / 255)), 1)
    for number in range(count):
        weight, bias = (weights[f"encoder.convolutions.{number}.{kind}"] for kind in ("weight", "bias"))
        features = F.conv2d(features, weight, bias, padding=1)
        features = features.relu() if number < count - 1 else features
    restored = torch.empty_like(image)
    for number, (row, column) in enumerate((row, column) for row in (0, 1) for column in (0, 1)):
        restored[..., row::2, column::2] = features[:, number : number + 1]
    return restored


def test_it_is_the_paper_s_formula() -> None:
    network = toolbox.build("ffdnet-gray", encoder={"channels": 5, "convolutions": 3})
    image = torch.rand(2, 1, 8, 6)
    with torch.no_grad():
        torch.testing.assert_close(network(image, sigma=35), formula(image, 35, network.state_dict(), 3))


def test_the_published_networks_have_their_published_sizes() -> None:
    for name, layers, width, channels in (("ffdnet-gray", 15, 64, 1), ("ffdnet-color", 12, 96, 3)):
        restorer = toolbox.build(name)
        weights = [weight for weight in restorer.parameters() if weight.ndim > 1]
        assert len(weights) == layers
        assert tuple(weights[0].shape) == (width, 4 * channels + 1, 3, 3)
        assert tuple(weights[-1].shape) == (4 * channels, width, 3, 3)


def test_without_a_condition_it_is_refused() -> None:
    with pytest.raises(toolbox.ToolboxError, match=r"^encoder: ffdnet got no condition, expected one"):
        toolbox.build({"channels": 1, "encoder": "ffdnet", "decoder": "features"})


def command(*arguments: str | Path, folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "toolbox", *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, and a small network that was trained on them."""
    folder = tmp_path_factory.mktemp("ffdnet")
    (folder / "photos").mkdir()
    for number in range(3):
        rough = np.random.default_rng(number).integers(0, 256, (12, 12), dtype=np.uint8)
        Image.fromarray(rough).resize((72, 72), Image.Resampling.BICUBIC).save(folder / "photos" / f"{number}.png")
    (folder / "ffdnet.yaml").write_text(RECIPE, encoding="utf-8")
    command("train", "ffdnet.yaml", folder=folder)
    return folder


def test_it_is_scored_at_the_noise_of_the_protocol(trained: Path) -> None:
    models = ("-m", "runs/ffdnet/ffdnet.safetensors", "-m", "bicubic", "--data", "photos", "--protocol", "denoise-gray")
    for sigma in (25, 50):
        printed = command("eval", *models, "--sigma", str(sigma), "--json", folder=trained).stdout
        own, noisy = (mean["psnr"] for mean in json.loads(printed)["means"])
        assert own > noisy + 0.5


def test_it_restores_best_with_the_true_noise_level(trained: Path) -> None:
    weights = trained / "runs" / "ffdnet" / "ffdnet.safetensors"
    with Image.open(trained / "photos" / "0.png") as photo:
        clean = np.asarray(photo, dtype=np.float32) / 255
    noise = np.random.default_rng(0).standard_normal(clean.shape, np.float32)
    noisy = clean + 50 / 255 * noise
    errors = {sigma: float(np.square(toolbox.restore(noisy, weights, sigma=sigma) - clean).mean()) for sigma in (5, 50)}
    assert errors[50] < errors[5]
    left = np.where(np.arange(72) < 36, 50.0, 5.0).reshape(1, -1).repeat(72, 0)
    restored = toolbox.restore(noisy, weights, sigma=left)
    for part, sigma in ((restored[:, :20], 50), (restored[:, -20:], 5)):
        whole = toolbox.restore(noisy, weights, sigma=sigma)
        np.testing.assert_allclose(part, whole[:, :20] if sigma == 50 else whole[:, -20:], atol=1e-6)


def test_the_command_takes_the_noise_level_and_asks_for_it(trained: Path) -> None:
    given = ("restore", "photos/0.png", "-m", "runs/ffdnet/ffdnet.safetensors", "-o")
    command(*given, "out.png", "--sigma", "25", folder=trained)
    with Image.open(trained / "out.png") as restored:
        assert restored.size == (72, 72)
    error = command(*given, "none.png", folder=trained, code=2).stderr
    assert "the network needs sigma (noise level, of 255), and got none; give sigma=NUMBER, or --sigma NUMBER" in error
