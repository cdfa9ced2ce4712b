"""CiaoSR, the implicit attention-in-attention network of Cao et al. (CVPR 2023), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, ProtocolInfo, hookimpl, shipped

TILES = ProtocolInfo(
    name="ciaosr-tiles",
    summary="sr-y with every tile of 192 pixels restored by itself, overlaps of 32 pixels averaged",
    source="CiaoSR's published scores up to x4 (Cao et al., CVPR 2023); each tile has its own non-local features",
    color="luma",
    metrics=("psnr", "ssim"),
    rounds=True,
    shave=(1, 0),
    patches=(192, 160),
)


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


@hookimpl
def toolbox_protocols() -> Iterable[ProtocolInfo]:
    """The protocol of CiaoSR's published scores."""
    return [TILES]
