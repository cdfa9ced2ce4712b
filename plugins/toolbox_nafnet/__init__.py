"""NAFNet, the nonlinear activation free network of Chen et al. (ECCV 2022), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """NAFNet's blocks at one resolution, and its U-net."""
    from toolbox_nafnet.naf import NAF_ENCODER
    from toolbox_nafnet.unet import NAFNET_ENCODER

    return [NAF_ENCODER, NAFNET_ENCODER]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """NAFNet for noise, blur and super-resolution."""
    return shipped("toolbox_nafnet", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """NAFNet's checkpoints."""
    from toolbox_nafnet.converter import NAFNET_FORMAT

    return [NAFNET_FORMAT]
