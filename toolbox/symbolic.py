"""Symbolic sizes, which occur when ``torch.export`` traces a network for images of any size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def known(condition: Any) -> bool:
    """Whether a condition holds; on symbolic sizes, whether it holds for all of their values."""
    if not isinstance(condition, torch.SymBool):
        return bool(condition)
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return statically_known_true(condition)


def exact(count: int, device: torch.device) -> Tensor:
    """A size as a float64 scalar to compute with, because a quotient of symbols is single precision in ONNX."""
    return torch.full((), count, dtype=torch.float64, device=device)
