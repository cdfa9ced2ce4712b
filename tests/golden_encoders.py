"""Golden cases of encoders and non-local blocks: the published code's outputs for drawn weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.shared import goldens, reference

FOLDER = "goldens-encoders"


def golden(name: str) -> Any:
    """A case: its weights by their published names, input, outputs, and the notes on it."""
    reference(FOLDER, f"{name}.npz")
    return goldens()["load_case"](name, reference(FOLDER))


def with_buffers(case: Any) -> dict[str, Any]:
    """The weights, and what else a published state dict holds."""
    buffers = {name: np.zeros(shape, np.float32) for name, shape in case.meta.get("buffers", {}).items()}
    return {**buffers, **case.weights()}


def assert_close(ours: Tensor, published: Any, tolerance: float = 1e-5) -> None:
    """Within ``tolerance`` of the largest published value."""
    expected = torch.from_numpy(published)
    assert ours.shape == expected.shape
    assert float((ours - expected).abs().max() / expected.abs().max()) <= tolerance
