"""LMF, the Latent Modulated Function of He & Jin (CVPR 2024), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """The decoders of LM-LIIF, LM-LTE and LM-CiaoSR."""
    from toolbox_lmf.attention import MODULATED_ATTENTION
    from toolbox_lmf.ensemble import MODULATED_ENSEMBLE
    from toolbox_lmf.texture import MODULATED_TEXTURE

    return [MODULATED_ATTENTION, MODULATED_ENSEMBLE, MODULATED_TEXTURE]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """LM-LIIF, LM-LTE and LM-CiaoSR, on EDSR-baseline and on RDN."""
    return shipped("toolbox_lmf", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """LMF's checkpoints."""
    from toolbox_lmf.converter import LMF_FORMAT

    return [LMF_FORMAT]
