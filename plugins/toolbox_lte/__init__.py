"""LTE, the Local Texture Estimator of Lee & Jin (CVPR 2022), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox import catalog
from toolbox.hookspecs import hookimpl
from toolbox.registry import ArchitectureInfo, ComponentInfo, ConverterInfo


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """LTE's decoder."""
    from toolbox_lte.local_texture import LOCAL_TEXTURE

    return [LOCAL_TEXTURE]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """LTE on EDSR-baseline and on RDN."""
    return catalog.shipped("toolbox_lte", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """LTE's and LTE+'s checkpoints."""
    from toolbox_lte.checkpoint import LTE_FORMAT

    return [LTE_FORMAT]
