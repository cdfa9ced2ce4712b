"""Meta-SR, the magnification-arbitrary network of Hu et al. (CVPR 2019), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """Meta-SR's decoder."""
    from toolbox_metasr.meta_upscale import META_UPSCALE

    return [META_UPSCALE]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """Meta-SR on RDN and on EDSR-baseline."""
    return shipped("toolbox_metasr", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """Meta-SR's checkpoints."""
    from toolbox_metasr.converter import METASR_FORMAT

    return [METASR_FORMAT]
