"""Golden cases of encoders and non-local blocks: the published code's outputs for drawn weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.shared import goldens, reference

FOLDER = "goldens-encoders"
TOLERANCE = 1e-5  # of the largest value; a wrong epsilon costs more


def golden(name: str) -> Any:
    """A case: its weights by their published names, input, outputs, and the notes on it."""
    reference(FOLDER, f"{name}.npz")
    return goldens()["load_case"](name, reference(FOLDER))


def with_buffers(case: Any) -> dict[str, Any]:
    """The weights, and what else a published state dict holds."""
    buffers = {name: np.zeros(shape, np.float32) for name, shape in case.meta.get("buffers", {}).items()}
    return {**buffers, **case.weights()}


def distance(ours: Any, published: Any) -> float:
    """The largest difference, as a fraction of the largest published value."""
    assert tuple(ours.shape) == published.shape
    return float(np.abs(np.asarray(ours) - published).max() / np.abs(published).max())


def assert_close(ours: Any, published: Any, tolerance: float = TOLERANCE) -> None:
    """Within ``tolerance`` of the largest published value."""
    assert distance(ours, published) <= tolerance
