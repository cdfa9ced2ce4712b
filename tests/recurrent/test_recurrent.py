"""The recurrent wrapper: what it repeats, what it threads, what it shares."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests import plain
from tests.parts import component, encoder_of, installed_and
from toolbox.config import TransitionConfig
from toolbox.errors import SpecError
from toolbox.resolve import resolve
from toolbox.spec import ComponentSpec
from toolbox.testing.measure import drawn


class CountingConfig(TransitionConfig):
    channels: int = 3

    def receptive_field(self) -> int | None:
        return 2


class Counting(nn.Module):
    """Writes down what it is given; the next state is twice the last plus the stem."""

    def __init__(self, config: CountingConfig, steps: int) -> None:
        super().__init__()
        self.told_steps = steps
        self.calls: list[tuple[Tensor, Tensor, Any, int]] = []

    def forward(self, state: Tensor, stem: Tensor, correlation: Any, step: int) -> tuple[Tensor, Any]:
        self.calls.append((state, stem, correlation, step))
        return 2 * state + stem, f"correlation {step}"


def counting_spec(steps: int) -> ComponentSpec:
    """A recurrent wrapper around the transition that counts."""
    registries = installed_and(component("counting", "transition", Counting, CountingConfig))
    spec = {"channels": 2, "encoder": {"name": "recurrent", "steps": steps, "transition": "counting"}}
    return resolve({**spec, "decoder": "residual-conv"}, registries=registries).encoder


def counting(steps: int) -> Any:
    return drawn(counting_spec(steps).build(channels=2))


def test_the_transition_is_applied_t_times_to_the_stem() -> None:
    encoder = counting(steps=3)
    image = torch.randn(2, 2, 4, 5, dtype=torch.float64)
    stem = plain.conv(plain.batch_norm(image, encoder.stem[0]), encoder.stem[1])
    torch.testing.assert_close(encoder(image), 2 * (2 * (2 * stem + stem) + stem) + stem)
    assert encoder.transition.told_steps == 3


def test_state_stem_and_correlation_are_threaded() -> None:
    encoder = counting(steps=3)
    encoder(torch.randn(1, 2, 4, 5, dtype=torch.float64))
    calls = encoder.transition.calls
    assert [call[2:] for call in calls] == [(None, 0), ("correlation 0", 1), ("correlation 1", 2)]
    first_state = calls[0][0]
    assert all(torch.equal(stem, first_state) for _, stem, _, _ in calls)
    assert torch.equal(calls[1][0], 3 * first_state)


def test_one_image_leaves_nothing_for_the_next() -> None:
    encoder = counting(steps=2)
    for _ in range(2):
        encoder(torch.randn(1, 2, 4, 5, dtype=torch.float64))
    assert encoder.transition.calls[2][2] is None


def test_it_has_the_channels_of_its_transition_and_sees_as_far_as_all_states() -> None:
    encoder = counting(steps=4)
    assert encoder.out_channels == 3
    assert encoder(torch.randn(1, 2, 4, 5, dtype=torch.float64)).shape == (1, 3, 4, 5)
    assert counting_spec(steps=4).config.receptive_field() == 1 + 4 * 2


def test_states_add_batch_norm_but_no_convolution() -> None:
    def parameters(steps: int, module: type[nn.Module]) -> int:
        encoder = encoder_of({"name": "recurrent", "steps": steps, "transition": "nonlocal-residual"})
        return sum(p.numel() for m in encoder.modules() if isinstance(m, module) for p in m.parameters())

    assert parameters(1, nn.Conv2d) == parameters(4, nn.Conv2d)
    assert parameters(4, nn.BatchNorm2d) - parameters(1, nn.BatchNorm2d) == 3 * 3 * 2 * 128


@pytest.mark.parametrize("steps", [0, -1, 2.5])
def test_a_number_of_states_that_cannot_be_is_refused(steps: float) -> None:
    encoder = {"name": "recurrent", "steps": steps, "transition": "nonlocal-residual"}
    with pytest.raises(SpecError, match=rf"^encoder\.steps: got {steps}, expected "):
        resolve({"channels": 2, "encoder": encoder, "decoder": "residual-conv"})
