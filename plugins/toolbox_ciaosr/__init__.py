"""CiaoSR, the implicit attention-in-attention network of Cao et al. (CVPR 2023), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """CiaoSR's decoder."""
    from toolbox_ciaosr.implicit_attention import IMPLICIT_ATTENTION

    return [IMPLICIT_ATTENTION]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """CiaoSR on EDSR-baseline and on RDN."""
    return shipped("toolbox_ciaosr", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """CiaoSR's checkpoints."""
    from toolbox_ciaosr.converter import CIAOSR_FORMAT

    return [CIAOSR_FORMAT]
