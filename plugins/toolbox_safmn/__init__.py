"""SAFMN, the Spatially-Adaptive Feature Modulation Network of Sun et al. (ICCV 2023), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """SAFMN's encoder."""
    from toolbox_safmn.safmn import SAFMN_ENCODER

    return [SAFMN_ENCODER]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """SAFMN for each published scale."""
    return shipped("toolbox_safmn", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """SAFMN's checkpoints."""
    from toolbox_safmn.converter import SAFMN_FORMAT

    return [SAFMN_FORMAT]
