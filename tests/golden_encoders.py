"""Golden cases of encoders and non-local parts: what the published code makes of drawn weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.shared import goldens, reference

FOLDER = "goldens-encoders"
TOLERANCE = 1e-5  # of the largest value; a wrong epsilon costs more


def golden(name: str) -> Any:
    """A case: its weights by their published names, input, outputs and what its authors told of it."""
    reference(FOLDER, f"{name}.npz")
    return goldens()["load_case"](name, reference(FOLDER))


def distance(ours: Any, published: np.ndarray[Any, Any]) -> float:
    """The largest difference, as a fraction of the largest published value."""
    assert tuple(ours.shape) == published.shape
    return float(np.abs(np.asarray(ours) - published).max() / np.abs(published).max())
