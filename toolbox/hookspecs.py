"""The hooks that a plugin can implement. Each is optional.

A plugin is a module, named by an entry point in the group ``toolbox``, whose functions are marked
with ``toolbox.hookspecs.hookimpl``::

    TOOLBOX_API = 1  # the API_VERSION that it is written for

    @hookimpl
    def toolbox_components():
        return [ComponentInfo(kind="encoder", name="my-encoder", ...)]

Commands are not hooks. Each one is an entry point in the group ``toolbox.commands``, such as ``name =
"module:function"``, with a function for Typer. Toolbox imports it when you run the command.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from toolbox.records import (
    ArchitectureInfo,
    ComponentInfo,
    ConverterInfo,
    DatasetInfo,
    DegradationInfo,
    LossInfo,
    MetricInfo,
    ProtocolInfo,
)

API_VERSION = 1  # the TOOLBOX_API of a plugin must equal it; CONTRIBUTING.md has the promise
PROJECT = "toolbox"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def toolbox_components() -> Iterable[ComponentInfo]:
    """Components of any kind that a spec can name."""
    raise NotImplementedError


@hookspec
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """Named architectures; ``toolbox.catalog.read_catalog`` makes them from a YAML file."""
    raise NotImplementedError


@hookspec
def toolbox_converters() -> Iterable[ConverterInfo]:
    """Converters from published checkpoints to restorers."""
    raise NotImplementedError


@hookspec
def toolbox_protocols() -> Iterable[ProtocolInfo]:
    """Named ways to make a score, for ``toolbox eval``."""
    raise NotImplementedError


@hookspec
def toolbox_degradations() -> Iterable[DegradationInfo]:
    """Degradations that a training recipe can apply to good pictures, for a network to undo."""
    raise NotImplementedError


@hookspec
def toolbox_metrics() -> Iterable[MetricInfo]:
    """Metrics for the distance of a restored picture from the original, for protocols and ``toolbox eval``."""
    raise NotImplementedError


@hookspec
def toolbox_losses() -> Iterable[LossInfo]:
    """Losses that the training of a recipe can minimize."""
    raise NotImplementedError


@hookspec
def toolbox_datasets() -> Iterable[DatasetInfo]:
    """Sources of training pictures besides folders."""
    raise NotImplementedError
