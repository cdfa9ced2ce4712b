"""Train a small network for some steps, to see whether its loss falls."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from toolbox.choice import Choice
from toolbox.config import validated
from toolbox.discovery import installed
from toolbox.losses.pixelwise import L1
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.training.losses import WeightedLosses
from toolbox.training.step import TrainedModule

STEPS = 50


def learning(spec: Any, scale: int = 1, rate: float = 2e-3, points: int | None = None) -> list[float]:
    """The L1 loss of each of 50 steps with Adam, on smooth pictures that were reduced, or have noise at scale 1.

    With ``points`` a step sees only that many pixels of each picture, others in each step.
    """
    torch.manual_seed(0)
    restorer = Restorer(resolve(spec)).train()
    clean = F.interpolate(torch.rand(4, restorer.channels, 6, 6), (12 * scale, 12 * scale), mode="bicubic").clamp(0, 1)
    degraded = F.interpolate(clean, (12, 12), mode="area") + (0.1 * torch.randn(4, 1, 12, 12) if scale == 1 else 0)
    loss = Choice(L1, validated(L1.config, {}, installed(), "l1"), 1.0)
    module = TrainedModule(restorer, WeightedLosses([loss], restorer))
    optimizer, values = torch.optim.Adam(restorer.parameters(), rate), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        drawn = None if points is None else torch.rand(len(clean), clean[0, 0].numel()).argsort(1)[:, :points]
        value, _ = module(degraded, clean, drawn, {})
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    return values


def assert_learns(spec: Any, scale: int = 1, rate: float = 2e-3, points: int | None = None) -> None:
    """The loss of the last ten steps is clearly below that of the first ten."""
    values = learning(spec, scale, rate, points)
    assert sum(values[-10:]) < 0.9 * sum(values[:10])
