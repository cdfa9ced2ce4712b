"""Batch normalization with separate parameters for each recurrent state."""

from __future__ import annotations

from torch import Tensor, nn

# TensorFlow's defaults in the published NLRN: epsilon 1e-3, moving averages with decay 0.99.
EPSILON = 1e-3
MOMENTUM = 0.01


class PerStateBatchNorm2d(nn.Module):
    """One BatchNorm2d for each recurrent state, because the features of each state have their own statistics.

    (B, C, H, W) → the same shape. Source: the published code of NLRN (NeurIPS 2018), which shares
    convolutions over states but not batch normalization.
    """

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.states = nn.ModuleList(nn.BatchNorm2d(channels, EPSILON, MOMENTUM) for _ in range(steps))

    def forward(self, features: Tensor, step: int) -> Tensor:
        """Normalize with the statistics of state ``step``, counted from 0."""
        normalized: Tensor = self.states[step](features)
        return normalized
