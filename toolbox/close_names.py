"""Close names to suggest in error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def close_names(name: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Up to ``most`` of the names that are close to ``name``, the closest first."""
    return difflib.get_close_matches(name, list(names), n=most, cutoff=0.5)


def did_you_mean(name: str, names: Iterable[str], most: int = 3) -> str:
    """``did you mean 'a', 'b'?``, or an empty text when no name is close."""
    close = close_names(name, names, most)
    return f"did you mean {', '.join(map(repr, close))}?" if close else ""
