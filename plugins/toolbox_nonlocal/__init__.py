"""Networks for super-resolution and denoising with non-local attention: NLSN, ENLCN, PANet, CSNLN and RNAN."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """Four non-local blocks, and the encoders and decoders of networks that are no EDSR with such blocks."""
    from toolbox_nonlocal.cross_scale import CROSS_SCALE
    from toolbox_nonlocal.enlca import ENLCA_BLOCK
    from toolbox_nonlocal.exemplars import EXEMPLARS
    from toolbox_nonlocal.nlsa import NLSA_BLOCK
    from toolbox_nonlocal.panet import PANET
    from toolbox_nonlocal.pyramid import PYRAMID
    from toolbox_nonlocal.rnan import RNAN_ENCODER
    from toolbox_nonlocal.self_exemplars import SELF_EXEMPLARS

    return [CROSS_SCALE, ENLCA_BLOCK, EXEMPLARS, NLSA_BLOCK, PANET, PYRAMID, RNAN_ENCODER, SELF_EXEMPLARS]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """The published networks."""
    return shipped("toolbox_nonlocal", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """Checkpoints of the published networks."""
    from toolbox_nonlocal.converters.csnln import CSNLN_FORMAT
    from toolbox_nonlocal.converters.edsr_like import ENLCN_FORMAT, NLSN_FORMAT
    from toolbox_nonlocal.converters.panet import PANET_FORMAT
    from toolbox_nonlocal.converters.rnan import RNAN_FORMAT

    return [CSNLN_FORMAT, ENLCN_FORMAT, NLSN_FORMAT, PANET_FORMAT, RNAN_FORMAT]
