"""Checkpoints: what they hold, and what they cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from toolbox.errors import TrainingError, WeightsError
from toolbox.training.checkpoint import (
    ResumeWarning,
    RunProgress,
    RunState,
    check_checkpoint,
    differences,
    load_checkpoint,
    save_checkpoint,
)
from toolbox.training.losses import WeightedLosses


def state_of(channels: int = 3, optimizer: type[torch.optim.Optimizer] = torch.optim.Adam) -> RunState:
    network, average = nn.Conv2d(1, channels, 3), nn.Conv2d(1, channels, 3)
    made = optimizer(network.parameters())  # type: ignore[call-arg]  # all of ours have a default rate
    network(torch.rand(1, 1, 4, 4)).sum().backward()
    made.step()
    return RunState(network, average, WeightedLosses((), network), made, RunProgress(7, 1.5, 0.1, 0.1, 0.01, 30.25))


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    saved, loaded = state_of(), state_of()
    save_checkpoint(tmp_path / "c.safetensors", saved, {"patch": 8})
    loaded.progress = check_checkpoint(tmp_path / "c.safetensors", {"patch": 8})
    load_checkpoint(tmp_path / "c.safetensors", loaded)
    assert loaded.progress == saved.progress
    for got, expected in ((loaded.restorer, saved.restorer), (loaded.average, saved.average)):
        assert all(torch.equal(a, b) for a, b in zip(got.parameters(), expected.parameters(), strict=True))
    for got, expected in zip(loaded.optimizer.state.values(), saved.optimizer.state.values(), strict=True):
        assert all(torch.equal(got[key], value) for key, value in expected.items())


def test_another_number_of_threads_is_warned_of(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        save_checkpoint(tmp_path / "c.safetensors", state_of(), {})
        torch.set_num_threads(3)
        with pytest.warns(ResumeWarning, match=r"had 2 threads before and has 3 now, .*; set OMP_NUM_THREADS=2 to get"):
            load_checkpoint(tmp_path / "c.safetensors", state_of())
        torch.set_num_threads(2)
        load_checkpoint(tmp_path / "c.safetensors", state_of())  # warnings are errors
    finally:
        torch.set_num_threads(threads)


def test_one_of_another_network_is_refused_with_what_differs(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c.safetensors", state_of(), {})
    with pytest.raises(WeightsError, match=r"is the checkpoint of another network: of another shape bias \(got \[3\]"):
        load_checkpoint(tmp_path / "c.safetensors", state_of(channels=4))


def test_another_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "c.safetensors")
    with pytest.raises(WeightsError, match=r"c\.safetensors is not the checkpoint of a training run$"):
        check_checkpoint(tmp_path / "c.safetensors", {})


class Nested(torch.optim.SGD):
    """Keeps a list of tensors, as some second-order optimizers do."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["factors"] = [torch.eye(2)]
        return super().step(closure)


def test_an_optimizer_whose_state_no_checkpoint_can_hold_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^optimizer Nested keeps factors, which no checkpoint can hold; choose"):
        save_checkpoint(tmp_path / "c.safetensors", state_of(optimizer=Nested), {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 1}}, []),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}}, ["a.b was 1, is 3"]),
        ({"a": 1}, {"a": 1, "b": [2]}, ["b was None, is [2]"]),
        ({"a": {"x": 1}, "b": 1}, {"a": None, "b": 2}, ["a was {'x': 1}, is None", "b was 1, is 2"]),
    ],
)
def test_differences_are_told_with_their_paths(before: Any, now: Any, expected: list[str]) -> None:
    assert differences(before, now) == expected
