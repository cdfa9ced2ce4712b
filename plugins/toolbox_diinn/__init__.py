"""DIINN, the Dual Interactive Implicit Neural Network of Nguyen & Beksi (WACV 2023), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """DIINN's decoder."""
    from toolbox_diinn.dual_interactive import DUAL_INTERACTIVE

    return [DUAL_INTERACTIVE]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """DIINN and its small version."""
    return shipped("toolbox_diinn", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """DIINN's checkpoints."""
    from toolbox_diinn.converter import DIINN_FORMAT

    return [DIINN_FORMAT]
