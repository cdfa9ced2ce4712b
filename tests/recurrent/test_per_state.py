"""Batch norm that each state has for itself."""

from __future__ import annotations

from typing import Any

import torch

from tests import plain
from toolbox.recurrent.per_state import PerStateBatchNorm2d
from toolbox.testing.measure import drawn


def test_each_state_normalizes_by_its_own_statistics() -> None:
    norm = drawn(PerStateBatchNorm2d(3, 2))
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    for step in range(2):
        expected = plain.batch_norm(features, norm.states[step])
        torch.testing.assert_close(norm(features, step), expected)
    assert not torch.allclose(norm(features, 0), norm(features, 1))


def test_training_moves_the_statistics_of_one_state_by_a_hundredth() -> None:
    norm: Any = PerStateBatchNorm2d(3, 2).double()
    features = 5 + torch.randn(4, 3, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(norm(features, 1), plain.batch_norm(features, norm.states[1], training=True))
    torch.testing.assert_close(norm.states[1].running_mean, 0.01 * features.mean((0, 2, 3)))
    assert torch.equal(norm.states[0].running_mean, torch.zeros(3, dtype=torch.float64))
