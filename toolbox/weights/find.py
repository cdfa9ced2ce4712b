"""Find the network for a name or a path, ready to restore."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BeforeValidator, WithJsonSchema

from toolbox.config import fault, located
from toolbox.discovery import installed
from toolbox.errors import WeightsError
from toolbox.files import is_file
from toolbox.hub import is_hub_name, pinned
from toolbox.programs.onnx_restorer import SUFFIX, open_onnx
from toolbox.registry import Registries
from toolbox.restorer import Restorer, build
from toolbox.weights.file import load


def _path_or_pinned(value: Any) -> Path | str:
    if not isinstance(value, (str, Path)):
        raise fault((), value, "a weights file, a name of the catalog, or hf://user/repo")
    if not is_hub_name(value):
        return Path(value)
    try:
        return pinned(str(value))
    except WeightsError as error:
        raise located((), str(error)) from None


# A model in a config: a path, a name of the catalog, or a name of the hub, to which reading adds the commit.
ModelName = Annotated[Path | str, BeforeValidator(_path_or_pinned), WithJsonSchema({"type": "string"})]


def find_trained(name: str | Path, registries: Registries | None = None) -> Restorer:
    """The trained model of a name, a weights file or an ONNX file. The errors are those of ``load``."""
    if Path(name).suffix.lower() == SUFFIX and not is_hub_name(name):
        return open_onnx(Path(name), registries=registries)
    return load(name, registries=registries)


def find_model(name: str, registries: Registries) -> Restorer:
    """The trained model. A model of the user's own catalog may be untrained, with a warning."""
    theirs = name in registries.architectures and name not in installed().architectures
    if is_file(Path(name)) or not theirs or registries.architectures[name].weights is not None:
        return find_trained(name, registries)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        restorer = build(name, registries=registries).eval()
    if next(restorer.parameters(), None) is not None:
        warnings.warn(
            f"{name!r} has no weights, so it restores with random ones; train it and add `weights: FILE` to its entry",
            stacklevel=2,
        )
    return restorer
