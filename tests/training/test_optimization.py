"""timm's optimizers and schedules as recipes name them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from toolbox.errors import TrainingError
from toolbox.training.optimization import TICKS, create_optimizer, create_schedule
from toolbox.training.settings import Optimizer, Schedule


def rates(settings: Schedule, *fractions: float) -> list[float]:
    """The learning rates at fractions of a run whose rate is 1."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.3)  # as a checkpoint may have left it
    schedule = create_schedule(settings, 1.0, optimizer)
    found = []
    for fraction in fractions:
        schedule.step(TICKS * fraction)  # type: ignore[arg-type]  # it need not be an integer
        found.append(optimizer.param_groups[0]["lr"])
    return found


def test_cosine_warms_up_and_falls_to_the_final_rate() -> None:
    settings = Schedule(warmup=0.1, final=0.02)
    cosine = [0.02 + 0.98 * (1 + math.cos(math.pi * t)) / 2 for t in (0.1, 0.5, 0.75)]
    assert rates(settings, 0, 0.05, 0.1, 0.5, 0.75, 1) == pytest.approx([0.02, 0.51, *cosine, 0.02])


def test_constant_stays() -> None:
    assert rates(Schedule(name="constant", warmup=0), 0, 0.3, 0.99) == [1, 1, 1]


def test_multistep_falls_at_its_milestones() -> None:
    settings = Schedule(name="multistep", milestones=(0.2, 0.6), decay=0.5, warmup=0)
    assert rates(settings, 0, 0.1999, 0.2001, 0.5999, 0.6001, 0.9999) == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_poly_falls_with_its_power() -> None:
    settings = Schedule(name="poly", decay=2, warmup=0, final=0)
    assert rates(settings, 0, 0.5, 0.75) == pytest.approx([1, 0.25, 0.0625])


def test_rates_do_not_depend_on_what_was_asked_before() -> None:
    assert rates(Schedule(), 0.9, 0.2, 0.5) == rates(Schedule(), 0.9) + rates(Schedule(), 0.2) + rates(Schedule(), 0.5)


def test_an_optimizer_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"^optimizer fusedadam cannot be used here: .*; choose another$"):
        create_optimizer(Optimizer(name="fusedadam"), nn.Linear(3, 2))
    with pytest.raises(TrainingError, match=r"^optimizer adahessian needs second derivatives"):
        create_optimizer(Optimizer(name="adahessian"), nn.Linear(3, 2))


@pytest.mark.parametrize("name", ["adam", "adamw", "lamb", "sgd"])
def test_optimizers_are_timm_s(name: str) -> None:
    network = nn.Linear(3, 2)
    betas = None if name == "sgd" else (0.8, 0.9)
    optimizer = create_optimizer(Optimizer(name=name, lr=0.02, weight_decay=0.1, betas=betas), network)
    assert {group["lr"] for group in optimizer.param_groups} == {0.02}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.1}  # none for biases
    if betas is not None:
        assert optimizer.param_groups[0]["betas"] == betas
