"""Golden cases of encoders and non-local blocks: what the published code makes of drawn weights."""

from __future__ import annotations

from typing import Any

from tests.shared import goldens, reference

FOLDER = "goldens-encoders"


def golden(name: str) -> Any:
    """A case: its weights by their published names, input, outputs, and the settings of its network."""
    reference(FOLDER, f"{name}.npz")
    return goldens()["load_case"](name, reference(FOLDER))
