"""RCAN, the residual channel attention network of Zhang et al. (ECCV 2018), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """RCAN's encoder."""
    from toolbox_rcan.rcan import RCAN_ENCODER

    return [RCAN_ENCODER]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """RCAN for each scale."""
    return shipped("toolbox_rcan", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """RCAN's checkpoints."""
    from toolbox_rcan.converter import RCAN_FORMAT

    return [RCAN_FORMAT]
