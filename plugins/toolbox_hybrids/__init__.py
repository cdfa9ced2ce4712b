"""Hybrids: one paper's encoder feeds another's decoder. They need no code, only names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, hookimpl, shipped


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """The hybrids of the catalog."""
    return shipped("toolbox_hybrids", weights=Path(__file__).parent / "weights")
