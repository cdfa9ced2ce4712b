"""LTE, the Local Texture Estimator of Lee & Jin (CVPR 2022), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """LTE's decoder."""
    from toolbox_lte.local_texture import LOCAL_TEXTURE

    return [LOCAL_TEXTURE]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """LTE on EDSR-baseline and on RDN."""
    return shipped("toolbox_lte", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """LTE's and LTE+'s checkpoints."""
    from toolbox_lte.converter import LTE_FORMAT

    return [LTE_FORMAT]
