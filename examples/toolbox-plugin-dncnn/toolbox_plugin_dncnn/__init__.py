"""DnCNN of Zhang et al. (IEEE TIP 2017) as a plugin of Toolbox, with all of its hooks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, ProtocolInfo, hookimpl, read_catalog
from toolbox_plugin_dncnn.converter import DNCNN_FORMAT
from toolbox_plugin_dncnn.encoder import DNCNN_ENCODER

TOOLBOX_API = 1

DNCNN_PROTOCOL = ProtocolInfo(
    name="dncnn",
    summary="denoising of gray pictures: PSNR and SSIM after Gaussian noise",
    source="the published test code of DnCNN (Zhang et al., IEEE TIP 2017)",
    color="gray",
    metrics=("psnr", "ssim"),
    rounds=True,
    noise_seed=0,
)


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """DnCNN's convolutions."""
    return [DNCNN_ENCODER]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """DnCNN itself, and its features under an implicit decoder."""
    return read_catalog(Path(__file__).with_name("dncnn.yaml"))


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """Published weights."""
    return [DNCNN_FORMAT]


@hookimpl
def toolbox_protocols() -> Iterable[ProtocolInfo]:
    """The protocol of DnCNN's published scores."""
    return [DNCNN_PROTOCOL]
