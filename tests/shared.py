"""The reference data: a folder beside the checkout, not part of it. Tests that need it are skipped without it."""

from __future__ import annotations

import functools
import runpy
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "shared"


def reference(*parts: str) -> Path:
    """A file or folder of the reference data; skips the test when they are not here."""
    path = FOLDER.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(parts)} of the reference data are not here")
    return path


@functools.cache
def goldens() -> dict[str, Any]:
    """The script that comes with the golden cases, run in place: load_case, case_names."""
    return runpy.run_path(str(reference("goldens", "fill.py")))
