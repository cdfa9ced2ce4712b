"""The networks of the spandrel library, as encoders and as checkpoints. It needs the extra ``spandrel``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolbox.plugin import ArchitectureInfo, ComponentInfo, ConverterInfo, hookimpl, shipped


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """The encoder of spandrel's networks, and the decoder for those that give a finished picture."""
    from toolbox_spandrel.depth_to_space import DEPTH_TO_SPACE
    from toolbox_spandrel.encoder import SPANDREL

    return [SPANDREL, DEPTH_TO_SPACE]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """A network as spandrel has it, and its features under a decoder of any size."""
    return shipped("toolbox_spandrel", weights=Path(__file__).parent / "weights")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """Checkpoints of every architecture that spandrel knows."""
    from toolbox_spandrel.converter import SPANDREL_FORMAT

    return [SPANDREL_FORMAT]
