"""NLRN, the Non-Local Recurrent Network of Liu et al. (NeurIPS 2018), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """NLRN's transition, and its decoder for super-resolution."""
    from toolbox_nlrn.refine_luma import REFINE_LUMA
    from toolbox_nlrn.transition import NONLOCAL_RESIDUAL

    return [NONLOCAL_RESIDUAL, REFINE_LUMA]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """NLRN and its small versions."""
    return shipped("toolbox_nlrn", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """NLRN's TensorFlow variables."""
    from toolbox_nlrn.converter import NLRN_FORMAT

    return [NLRN_FORMAT]
