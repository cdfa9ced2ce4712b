"""The losses against their definitions and every rule of Toolbox, and a run that is cut and goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from toolbox_plugin_perceptual import Adversarial, AdversarialConfig, Perceptual, PerceptualConfig
from torch import Tensor, nn

import toolbox
from toolbox.plugin import LossInput
from toolbox.testing import HookCase, conformance_cases

RECIPE = """
model: {channels: 1, global_skip: bicubic, encoder: {name: edsr, channels: 4, blocks: 1}, decoder: conv}
data: photos
degradation: {name: gaussian-noise, sigma: 25}
patch: 12
batch: 2
loss: [l1, {name: perceptual, weight: 0.1, width: 4}, {name: adversarial, weight: 0.01, width: 4}]
optimizer: {lr: 0.002, rates: {loss: 0.001}}
budget: {steps: 6}
trackers: []
"""


class Network(nn.Module):
    channels = 3


def batch(seed: int = 0) -> LossInput:
    restored, clean = torch.rand(2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(seed)).unbind(0)
    return LossInput(restored.requires_grad_(), clean, clean, clean, (16, 16))


@pytest.mark.parametrize("case", conformance_cases("toolbox_plugin_perceptual"), ids=str)
def test_conformance(case: HookCase) -> None:
    case()


def test_features_are_those_of_one_fixed_network() -> None:
    first, second = (Perceptual(PerceptualConfig(), Network()) for _ in range(2))
    given = batch()
    assert first(given) == second(given)
    assert first(given) != Perceptual(PerceptualConfig(seed=1), Network())(given)
    same = LossInput(given.clean, given.clean, given.clean, given.clean, given.size)
    assert first(same) == 0
    assert not [weight for weight in first.parameters() if weight.requires_grad]


def test_each_term_trains_one_of_the_two_networks() -> None:
    loss, given = Adversarial(AdversarialConfig(width=4), Network()), batch()
    judge = loss.discriminator
    weights = list(judge.parameters())
    own, *others = torch.autograd.grad(loss(given), [given.restored, *weights])
    (expected,) = torch.autograd.grad(F.softplus(-judge(given.restored)).mean(), given.restored)
    torch.testing.assert_close(own, expected)
    critic = F.softplus(-judge(given.clean)).mean() + F.softplus(judge(given.restored.detach())).mean()
    for got, wanted in zip(others, torch.autograd.grad(critic, weights), strict=True):
        torch.testing.assert_close(got, wanted)


def test_the_discriminator_learns_to_tell_sharp_from_smooth() -> None:
    torch.manual_seed(0)
    loss = Adversarial(AdversarialConfig(width=8), Network())
    optimizer = torch.optim.Adam(loss.parameters(), 2e-3)

    def pair() -> tuple[Tensor, Tensor]:
        clean = torch.rand(8, 3, 16, 16)
        return F.avg_pool2d(F.pad(clean, (1, 1, 1, 1), "reflect"), 3, 1), clean

    for _ in range(60):
        smooth, clean = pair()
        optimizer.zero_grad()
        loss(LossInput(smooth, clean, clean, clean, (16, 16))).backward()
        optimizer.step()
    smooth, clean = pair()
    with torch.no_grad():
        judged: Any = [loss.discriminator(each).mean((1, 2, 3)) for each in (clean, smooth)]
    assert (judged[0].min() > judged[1].max()).item()


def command(*arguments: str | Path, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "toolbox", *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_recipe_trains_with_them_and_goes_on_with_the_discriminator(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    levels = np.random.default_rng(0).integers(0, 256, (30, 30), dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "photos" / "a.png")
    (tmp_path / "sharp.yaml").write_text(RECIPE, encoding="utf-8")
    command("train", "sharp.yaml", folder=tmp_path)
    kept = load_file(tmp_path / "runs" / "sharp" / "checkpoint.safetensors")
    own = {name for name in kept if name.startswith("loss.")}
    assert own
    assert all(name.startswith("loss.trained.2.discriminator.") for name in own)
    command("train", "sharp.yaml", "budget.steps=9", "--resume", folder=tmp_path)
    after = load_file(tmp_path / "runs" / "sharp" / "checkpoint.safetensors")
    assert all(not torch.equal(after[name], kept[name]) for name in own)
    restorer = toolbox.load(tmp_path / "runs" / "sharp" / "sharp.safetensors")
    assert toolbox.restore(levels, restorer).shape == levels.shape
