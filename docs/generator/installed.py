"""The records that the pages describe: those of this project, without those of other installed plugins."""

from __future__ import annotations

import dataclasses
import functools
from importlib import metadata
from typing import Any, TypeVar

from toolbox.config import Kind
from toolbox.discovery import CORE, installed
from toolbox.entry_points import DISTRIBUTION, PLUGIN_GROUP
from toolbox.records import ArchitectureInfo, ComponentInfo, Record
from toolbox.registry import Registry
from toolbox.resolve import resolve
from toolbox.spec import ArchitectureSpec

R = TypeVar("R", bound=Record)

# The name of each kind in prose, in the plural.
PLURAL: dict[str, str] = {
    "encoder": "encoders",
    "recurrent-wrapper": "recurrent wrappers",
    "transition": "transitions",
    "nonlocal-block": "non-local blocks",
    "decoder": "decoders",
}


@functools.cache
def providers() -> frozenset[str]:
    """The core and the plugins of this project."""
    entries = metadata.entry_points(group=PLUGIN_GROUP)
    return frozenset({CORE, *(entry.name for entry in entries if entry.dist and entry.dist.name == DISTRIBUTION)})


def ours(registry: Registry[R]) -> list[R]:
    """The records of a registry that this project provides."""
    return [record for record in registry if record.provider in providers()]


def components(kind: Kind) -> list[ComponentInfo]:
    """Our components of a kind."""
    return ours(installed().components[kind])


def architectures() -> list[ArchitectureInfo]:
    """Our architectures."""
    return ours(installed().architectures)


@functools.cache
def specs() -> dict[str, ArchitectureSpec]:
    """The validated spec of each of our architectures."""
    return {info.name: resolve(info.name) for info in architectures()}


@functools.cache
def uses() -> dict[tuple[str, str], list[str]]:
    """(kind, component) → the architectures that use it."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, spec in specs().items():
        for part in spec.parts():
            users = found.setdefault((part.info.kind, part.name), [])
            if name not in users:
                users.append(name)
    return found


def kinds() -> dict[str, str]:
    """The kind of each component by name."""
    return {info.name: kind for kind, registry in installed().components.items() for info in registry}


def records(kind: str) -> list[Any]:
    """Our records of another registry, such as converters, protocols or degradations."""
    return ours(getattr(installed(), kind))


def other_registries() -> list[str]:
    """The names of these registries."""
    return [
        field.name
        for field in dataclasses.fields(installed())
        if isinstance(getattr(installed(), field.name), Registry) and field.name != "architectures"
    ]
