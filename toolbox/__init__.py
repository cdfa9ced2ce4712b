"""Toolbox: image restoration networks as sentences of named parts. An encoder feeds a decoder."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolbox.discovery import list_architectures, list_components
    from toolbox.errors import ToolboxError
    from toolbox.evaluation.evaluate import evaluate
    from toolbox.images.inspection.inspect import inspect
    from toolbox.images.restore import restore
    from toolbox.restorer import Restorer, build
    from toolbox.weights.convert import convert
    from toolbox.weights.file import save
    from toolbox.weights.find import load

# The module of each public name. Names are imported on first use, so that `import toolbox` needs no torch.
_HOMES = {
    "Restorer": "toolbox.restorer",
    "ToolboxError": "toolbox.errors",
    "build": "toolbox.restorer",
    "convert": "toolbox.weights.convert",
    "evaluate": "toolbox.evaluation.evaluate",
    "inspect": "toolbox.images.inspection.inspect",
    "list_architectures": "toolbox.discovery",
    "list_components": "toolbox.discovery",
    "load": "toolbox.weights.find",
    "restore": "toolbox.images.restore",
    "save": "toolbox.weights.file",
}

__all__ = [
    "Restorer",
    "ToolboxError",
    "build",
    "convert",
    "evaluate",
    "inspect",
    "list_architectures",
    "list_components",
    "load",
    "restore",
    "save",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'toolbox' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
