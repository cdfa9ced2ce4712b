"""The training loop: it learns, and an interruption changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

import toolbox
from toolbox.restorer import Restorer
from toolbox.training import loop
from toolbox.training.degradations import add_noise
from toolbox.training.loop import train

TINY = {
    "channels": 1,
    "global_skip": "input",
    "encoder": {
        "name": "recurrent",
        "steps": 2,
        "transition": {
            "name": "nonlocal-residual",
            "channels": 3,
            "nonlocal": {
                "name": "soft-block-matching",
                "embedding_channels": 2,
                "neighborhood": {"kind": "window", "size": 3},
            },
        },
    },
    "decoder": "residual-conv",
}


def tiny(seed: int = 0) -> Restorer:
    torch.manual_seed(seed)
    return toolbox.build(TINY)


def noisy_batch(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    clean = torch.rand(4, 1, 1, 1, generator=generator).expand(4, 1, 8, 8)
    return add_noise(clean, 50, generator), clean


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock by which each step of training takes one second."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(ticks)))


def run(restorer: Restorer, checkpoint: Path, steps: float, **more: Any) -> tuple[Restorer, int, list[str]]:
    """Train for so many steps of one second each."""
    lines: list[str] = []
    options = {"draw_batch": noisy_batch, "loss": F.mse_loss, "save_every": 3 / 60, **more}
    trained, taken = train(restorer, minutes=steps / 60, checkpoint=checkpoint, report=lines.append, **options)
    return trained, taken, lines


def equal(first: Restorer, second: Restorer) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


class Interrupted(Exception):
    """What stops a run in a test."""


def interrupted_at(step: int) -> Callable[[torch.Generator], tuple[Tensor, Tensor]]:
    calls = iter(range(10**6))

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if next(calls) == step:
            raise Interrupted
        return noisy_batch(generator)

    return draw


@pytest.mark.usefixtures("seconds")
@pytest.mark.parametrize("after", [5, 9])
def test_an_interrupted_run_gives_the_weights_of_one_that_was_not(after: int, tmp_path: Path) -> None:
    expected, steps, _ = run(tiny(), tmp_path / "whole.safetensors", 12)
    with pytest.raises(Interrupted):
        run(tiny(), tmp_path / "cut.safetensors", 12, draw_batch=interrupted_at(after))
    resumed, resumed_steps, _ = run(tiny(seed=1), tmp_path / "cut.safetensors", 12)
    assert (steps, resumed_steps) == (12, 12)
    assert equal(resumed, expected)


@pytest.mark.usefixtures("seconds")
def test_a_finished_run_started_again_returns_the_same_and_trains_no_more(tmp_path: Path) -> None:
    expected, steps, _ = run(tiny(), tmp_path / "run.safetensors", 6)
    again, same_steps, lines = run(tiny(seed=1), tmp_path / "run.safetensors", 6, draw_batch=interrupted_at(0))
    assert same_steps == steps == 6
    assert equal(again, expected)
    assert not lines


@pytest.mark.usefixtures("seconds")
def test_runs_differ_by_their_seed_alone(tmp_path: Path) -> None:
    first, *_ = run(tiny(), tmp_path / "a.safetensors", 4)
    same, *_ = run(tiny(), tmp_path / "b.safetensors", 4)
    other, *_ = run(tiny(), tmp_path / "c.safetensors", 4, seed=1)
    assert equal(first, same)
    assert not equal(first, other)


@pytest.mark.usefixtures("seconds")
def test_each_step_draws_from_its_own_generator(tmp_path: Path) -> None:
    states: list[int] = []

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        states.append(generator.initial_seed())
        return noisy_batch(generator)

    run(tiny(), tmp_path / "run.safetensors", 5, draw_batch=draw, seed=2)
    assert len(set(states)) == 5
    again = states.copy()
    states.clear()
    run(tiny(), tmp_path / "other.safetensors", 5, draw_batch=draw, seed=2)
    assert states == again


@pytest.mark.usefixtures("seconds")
def test_progress_is_saved_and_reported_on_time_and_at_the_end(tmp_path: Path) -> None:
    *_, lines = run(tiny(), tmp_path / "run.safetensors", 10, save_every=3 / 60)
    assert [line.split()[:2] for line in lines] == [["step", "4"], ["step", "8"], ["step", "10"]]
    assert all("loss" in line for line in lines)
    assert [path.name for path in tmp_path.iterdir()] == ["run.safetensors"]


@pytest.mark.usefixtures("seconds")
def test_the_checkpoint_is_plain_tensors_of_network_average_and_optimizer(tmp_path: Path) -> None:
    trained, *_ = run(tiny(), tmp_path / "run.safetensors", 4)
    tensors = load_file(tmp_path / "run.safetensors")
    assert {key.split(".")[0] for key in tensors} == {"model", "average", "optimizer"}
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensors[f"average.{name}"], tensor)


@pytest.mark.usefixtures("seconds")
def test_the_network_is_returned_averaged_and_ready_to_use(tmp_path: Path) -> None:
    restorer = tiny()
    trained, *_ = run(restorer, tmp_path / "run.safetensors", 8)
    assert not trained.training
    assert isinstance(trained, Restorer)
    assert trained.spec == restorer.spec
    assert not equal(trained, restorer)


@pytest.mark.usefixtures("seconds")
def test_the_step_s_size_warms_up_and_falls(tmp_path: Path) -> None:
    rates: list[float] = []

    class Watched(torch.optim.Adam):
        def step(self, closure: Any = None) -> Any:
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "Adam", Watched)
        run(tiny(), tmp_path / "run.safetensors", 200, learning_rate=0.01, save_every=100)
    assert rates[0] == pytest.approx(0.01 / 100)
    assert rates.index(max(rates)) in range(60, 100)
    assert all(later < earlier for earlier, later in pairwise(rates[100:]))
    assert rates[-1] == pytest.approx(0.01 / 100, rel=0.05)


@pytest.mark.usefixtures("seconds")
def test_each_tensor_s_gradient_is_clipped_on_its_own(tmp_path: Path) -> None:
    norms: list[float] = []

    class Watched(torch.optim.Adam):
        def step(self, closure: Any = None) -> Any:
            norms.extend(p.grad.norm().item() for p in self.param_groups[0]["params"])
            return super().step(closure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "Adam", Watched)
        run(tiny(), tmp_path / "run.safetensors", 1, loss=lambda a, b: 1e6 * F.mse_loss(a, b), gradient_clip=0.5)
    assert max(norms) == pytest.approx(0.5, rel=1e-4)
    assert sum(norm > 0.49 for norm in norms) > 1


@pytest.mark.usefixtures("seconds")
def test_training_lowers_the_loss(tmp_path: Path) -> None:
    restorer = tiny()
    degraded, clean = noisy_batch(torch.Generator().manual_seed(99))
    before = F.mse_loss(restorer.eval()(degraded), clean).item()
    trained, *_ = run(restorer, tmp_path / "run.safetensors", 150, learning_rate=1e-2, save_every=100)
    assert F.mse_loss(trained(degraded), clean).item() < 0.7 * before


def test_training_ends_when_its_time_is_over(tmp_path: Path) -> None:
    started = time.monotonic()
    _, steps, lines = run(tiny(), tmp_path / "run.safetensors", 0.5, save_every=100)
    assert steps >= 1
    assert len(lines) == 1
    assert 0.5 <= time.monotonic() - started < 30
