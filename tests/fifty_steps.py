"""Whether a small network learns: fifty steps on one batch, from the weights that it is built with."""

from __future__ import annotations

from typing import Any

import torch

import toolbox


def assert_learns(spec: dict[str, Any], side: int = 12) -> None:
    """After fifty steps of Adam the network is nearer to smooth pictures than at the start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        restorer = toolbox.build(spec).train()
        scale = restorer.sizes if isinstance(restorer.sizes, int) else 1
        coarse = torch.rand(4, restorer.channels, 3, 3)
        clean = torch.nn.functional.interpolate(coarse, size=(scale * side, scale * side), mode="bilinear")
        seen = torch.nn.functional.interpolate(clean, size=(side, side), mode="area")
        seen = seen + 0.1 * torch.randn_like(seen)
        optimizer = torch.optim.Adam(restorer.parameters(), lr=2e-3)
        losses = []
        for _ in range(50):
            loss = (restorer(seen) - clean).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
