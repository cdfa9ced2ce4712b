"""SRNO, the Super-Resolution Neural Operator of Wei & Zhang (CVPR 2023), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox import catalog
from toolbox.hookspecs import hookimpl
from toolbox.registry import ArchitectureInfo, ComponentInfo, ConverterInfo


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """SRNO's decoder."""
    from toolbox_srno.neural_operator import NEURAL_OPERATOR

    return [NEURAL_OPERATOR]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """SRNO on EDSR-baseline and on RDN."""
    return catalog.shipped("toolbox_srno", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """SRNO's checkpoints."""
    from toolbox_srno.checkpoint import SRNO_FORMAT

    return [SRNO_FORMAT]
