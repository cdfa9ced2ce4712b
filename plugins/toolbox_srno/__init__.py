"""SRNO, the Super-Resolution Neural Operator of Wei & Zhang (CVPR 2023), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """SRNO's decoder."""
    from toolbox_srno.neural_operator import NEURAL_OPERATOR

    return [NEURAL_OPERATOR]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """SRNO on EDSR-baseline and on RDN."""
    return shipped("toolbox_srno", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """SRNO's checkpoints."""
    from toolbox_srno.converter import SRNO_FORMAT

    return [SRNO_FORMAT]
