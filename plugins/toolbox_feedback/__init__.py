"""SRFBN, the feedback network of Li et al. (CVPR 2019), as a plugin, with its relatives DRRN and DRCN."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """SRFBN's transition and decoder. DRRN and DRCN need no part of their own."""
    from toolbox_feedback.deconvolution import DECONVOLUTION
    from toolbox_feedback.feedback import FEEDBACK

    return [DECONVOLUTION, FEEDBACK]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """SRFBN, DRRN and DRCN."""
    return shipped("toolbox_feedback", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """SRFBN's checkpoints."""
    from toolbox_feedback.converter import SRFBN_FORMAT

    return [SRFBN_FORMAT]
