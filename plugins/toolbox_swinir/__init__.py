"""SwinIR, the restoration network of windowed attention by Liang et al. (ICCVW 2021), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """SwinIR's encoder."""
    from toolbox_swinir.swinir import SWINIR

    return [SWINIR]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """SwinIR for super-resolution, denoising and JPEG."""
    return shipped("toolbox_swinir", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """SwinIR's checkpoints."""
    from toolbox_swinir.converter import SWINIR_FORMAT

    return [SWINIR_FORMAT]
