"""The generator of the documentation is found beside the pages, as `python docs/generate.py` finds it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
