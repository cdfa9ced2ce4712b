"""Losses against their definitions, and what a recipe makes of several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.parts import architecture, restorer_of
from toolbox.choice import Choice
from toolbox.config import LossConfig
from toolbox.discovery import installed
from toolbox.errors import PluginError, SpecError
from toolbox.evaluation.metrics import ssim as measured_ssim
from toolbox.learning import LossInput
from toolbox.points import at_points, decode_at
from toolbox.records import LossInfo
from toolbox.restorer import Restorer
from toolbox.training.losses import WeightedLosses
from toolbox.weights.file import save

sides = st.integers(11, 16)


def choice(name: str, weight: float = 1.0, **settings: Any) -> Choice:
    info = installed().losses[name]
    return Choice(info, info.config.model_validate(settings), weight)


def given_pair(restored: Tensor, clean: Tensor) -> LossInput:
    return LossInput(restored, clean, clean, clean, (clean.shape[-2], clean.shape[-1]))


def loss_of(name: str, restored: Tensor, clean: Tensor) -> float:
    return WeightedLosses([choice(name)], None)(given_pair(restored, clean)).item()


@given(height=sides, width=sides, channels=st.integers(1, 4))
def test_losses_are_those_of_the_definitions(height: int, width: int, channels: int) -> None:
    a, b = torch.rand(2, 2, channels, height, width, dtype=torch.float64).unbind(0)
    x, y = a.numpy(), b.numpy()
    assert loss_of("mse", a, b) == pytest.approx(np.mean((x - y) ** 2))
    assert loss_of("l1", a, b) == pytest.approx(np.mean(np.abs(x - y)))
    assert loss_of("charbonnier", a, b) == pytest.approx(np.mean(np.sqrt((x - y) ** 2 + 1e-6)))
    difference = np.fft.fft2(x) - np.fft.fft2(y)
    assert loss_of("frequency", a, b) == pytest.approx(np.mean([np.abs(difference.real), np.abs(difference.imag)]))
    assert loss_of("ssim", a, b) == pytest.approx(1 - measured_ssim(a, b))


@pytest.mark.parametrize("name", ["l1", "mse", "charbonnier", "frequency", "ssim"])
def test_a_loss_is_least_where_nothing_differs_and_leads_there(name: str) -> None:
    clean = torch.rand(1, 3, 12, 13, dtype=torch.float64)
    restored = (clean + 0.1 * torch.randn_like(clean)).requires_grad_()
    loss = WeightedLosses([choice(name)], None)(given_pair(restored, clean))
    loss.backward()
    assert restored.grad is not None
    smaller = loss_of(name, restored.detach() - 1e-3 * restored.grad / restored.grad.abs().max(), clean)
    assert loss_of(name, clean, clean) < smaller < loss.item()


def test_several_are_a_weighted_sum() -> None:
    a, b = torch.rand(2, 2, 3, 12, 12, dtype=torch.float64).unbind(0)
    both = WeightedLosses([choice("l1"), choice("frequency", 0.05)], None)(given_pair(a, b))
    assert both.item() == pytest.approx(loss_of("l1", a, b) + 0.05 * loss_of("frequency", a, b))


# Learning from a teacher.


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    save(restorer_of(architecture("edsr", "dual-interactive")), tmp_path / "teacher.safetensors")
    return tmp_path / "teacher.safetensors"


def test_a_teacher_s_output_is_compared_with_whole_or_at_points(teacher: Path) -> None:
    student = restorer_of(architecture("rdn", "local-ensemble"))
    losses = WeightedLosses([choice("distill", teacher=str(teacher))], student)
    model = losses.losses[0].teacher[0]
    image, clean = torch.rand(2, 3, 5, 6, dtype=torch.float64), torch.rand(2, 3, 10, 12, dtype=torch.float64)
    features = student.encode(student.pad(image))
    restored = student(image, size=(10, 12))
    got = losses(LossInput(restored, clean, image, features, (10, 12)))
    assert got.item() == pytest.approx((restored - model(image, size=(10, 12))).abs().mean().item())
    points = torch.stack([torch.randperm(120)[:9] for _ in range(2)])
    some = decode_at(student, features, image, (10, 12), points)
    got = losses(LossInput(some, at_points(clean, points), image, features, (10, 12), points))
    assert got.item() == pytest.approx((some - at_points(model(image, size=(10, 12)), points)).abs().mean().item())


def test_features_go_through_a_projection_that_is_trained_and_the_teacher_is_not(teacher: Path) -> None:
    student = restorer_of(architecture({"name": "edsr", "channels": 5, "blocks": 1}, "conv"))
    losses = WeightedLosses([choice("distill", teacher=str(teacher), match="features")], student).double()
    projection = losses.losses[0].projection
    assert (projection.in_channels, projection.out_channels) == (5, 4)
    assert set(losses.kept()) == {"trained.0.projection.weight", "trained.0.projection.bias"}
    model = losses.losses[0].teacher[0]
    image = torch.rand(2, 3, 5, 6, dtype=torch.float64)
    features = student.encode(image)
    loss = losses(LossInput(student(image), image, image, features, (5, 6)))
    assert loss.item() == pytest.approx((projection(features) - model.encode(image)).square().mean().item())
    loss.backward()
    assert projection.weight.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (architecture("edsr", "conv", channels=1), r"^distill: teacher .* is for 3 channels, not 1$"),
        (architecture("edsr", "pixel-shuffle"), None),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(network: dict[str, Any], sentence: str | None, teacher: Path) -> None:
    student = restorer_of(network)
    if sentence is None:  # of any size it can be asked for this one
        WeightedLosses([choice("distill", teacher=str(teacher))], student)
        return
    with pytest.raises(SpecError, match=sentence):
        WeightedLosses([choice("distill", teacher=str(teacher))], student)


def test_a_teacher_of_another_scale_teaches_features_alone(tmp_path: Path) -> None:
    save(restorer_of(architecture("edsr", "pixel-shuffle")), tmp_path / "x2.safetensors")
    student = restorer_of(architecture("edsr", "conv"))
    with pytest.raises(SpecError, match=r"gives the sizes 2, the network 'same'; match its features$"):
        WeightedLosses([choice("distill", teacher=str(tmp_path / "x2.safetensors"))], student)
    WeightedLosses([choice("distill", teacher=str(tmp_path / "x2.safetensors"), match="features")], student)


# What a stranger's loss does wrong.


class Empty(LossConfig):
    """No settings."""


def stranger(loss: Any) -> WeightedLosses:
    info = LossInfo("mine", lambda config, restorer: loss, Empty, "for a test", "none", provider="toolbox_mine")
    return WeightedLosses([Choice(info, Empty())], None)


def test_a_loss_that_fails_is_named_with_its_plugin() -> None:
    pair = given_pair(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4))
    with pytest.raises(
        PluginError, match=r"^loss 'mine' of plugin toolbox_mine failed with ZeroDivisionError: division"
    ):
        stranger(lambda given: 1 / 0)(pair)
    for wrong, told in (
        (0.5, "0.5"),
        (torch.rand(3), r"a tensor of shape \(3,\)"),
        (torch.tensor(1), "a tensor of shap"),
    ):
        with pytest.raises(
            PluginError, match=rf"^loss 'mine' of plugin toolbox_mine gave {told}.*, expected a tensor with"
        ):
            stranger(lambda given, wrong=wrong: wrong)(pair)


def test_a_loss_that_cannot_be_made_is_named_with_its_plugin() -> None:
    info = LossInfo("mine", lambda config: None, Empty, "", "", provider="toolbox_mine")  # type: ignore[arg-type, misc]
    with pytest.raises(
        PluginError, match=r"^loss 'mine' of plugin toolbox_mine failed with TypeError: .* tell its author"
    ):
        WeightedLosses([Choice(info, Empty())], nn.Identity())


def test_restorers_are_what_losses_are_made_for() -> None:
    seen: list[Any] = []
    info = LossInfo("mine", lambda config, restorer: seen.append(restorer), Empty, "", "")  # type: ignore[arg-type, return-value]
    network = Restorer(restorer_of(architecture("edsr", "conv")).spec)
    WeightedLosses([Choice(info, Empty())], network)
    assert seen == [network]
