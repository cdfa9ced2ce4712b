"""Thera, the neural heat fields of Becker et al. (2025), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """Thera's decoder, and the refinement of the features for it."""
    from toolbox_thera.convnext import CONVNEXT_REFINEMENT
    from toolbox_thera.heat_field import HEAT_FIELD

    return [CONVNEXT_REFINEMENT, HEAT_FIELD]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """Thera air and plus, on EDSR-baseline and on RDN."""
    return shipped("toolbox_thera", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """Thera's parameters."""
    from toolbox_thera.converter import THERA_FORMAT

    return [THERA_FORMAT]
