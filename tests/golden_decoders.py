"""Golden cases of any-scale decoders: what the published code makes of drawn weights, and how ours compares."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import toolbox
from tests.shared import goldens, reference

FOLDER = "goldens-decoders"


def case_of(name: str) -> Any:
    """A case: its weights by their published names, input, outputs and what its authors told of it."""
    reference(FOLDER, f"{name}.npz")
    return goldens()["load_case"](name, reference(FOLDER))


def assert_as_published(name: str, tolerance: float = 2e-5, **hints: Any) -> None:
    """Every output of a case that sees (x − 0.5) / 0.5 is ours, within ``tolerance`` of its largest value."""
    case = case_of(name)
    restorer = toolbox.convert(case.weights(), **hints)
    assert case.outputs
    for key, published in case.outputs.items():
        height, width = map(int, key.split("x"))
        with torch.inference_mode():
            ours = restorer((torch.from_numpy(case.input) + 1) / 2, size=(height, width)) * 2 - 1
        assert ours.shape == published.shape
        assert np.abs(ours.numpy() - published).max() <= tolerance * np.abs(published).max(), key
