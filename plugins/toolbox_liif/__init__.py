"""LIIF, the Local Implicit Image Function of Chen et al. (CVPR 2021), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """LIIF's decoder."""
    from toolbox_liif.local_ensemble import LOCAL_ENSEMBLE

    return [LOCAL_ENSEMBLE]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """LIIF on EDSR-baseline and on RDN."""
    return shipped("toolbox_liif", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """LIIF's checkpoints."""
    from toolbox_liif.converter import LIIF_FORMAT

    return [LIIF_FORMAT]
