"""Restormer, the restoration transformer of Zamir et al. (CVPR 2022), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """Restormer's U-net, and its attention and its transformer block as non-local blocks."""
    from toolbox_restormer.block import RESTORMER_BLOCK
    from toolbox_restormer.mdta import MDTA_BLOCK
    from toolbox_restormer.restormer import RESTORMER

    return [MDTA_BLOCK, RESTORMER, RESTORMER_BLOCK]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """Restormer for color pictures, and without biases for denoising."""
    return shipped("toolbox_restormer", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """Restormer's checkpoints."""
    from toolbox_restormer.converter import RESTORMER_FORMAT

    return [RESTORMER_FORMAT]
