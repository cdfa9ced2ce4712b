"""SPAN, the Swift Parameter-free Attention Network of Wan et al. (CVPRW 2024), as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """SPAN's encoder."""
    from toolbox_span.span import SPAN_ENCODER

    return [SPAN_ENCODER]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """SPAN for each published scale."""
    return shipped("toolbox_span", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """SPAN's checkpoints."""
    from toolbox_span.converter import SPAN_FORMAT

    return [SPAN_FORMAT]
