"""Hybrids: one paper's encoder feeding another's decoder. No code of their own, only names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox import catalog
from toolbox.hookspecs import hookimpl
from toolbox.registry import ArchitectureInfo


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """The hybrids of the catalog."""
    return catalog.shipped("toolbox_hybrids", weights=Path(__file__).parent / "weights")
