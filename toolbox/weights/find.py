"""Find the network for a name or a path, ready to restore."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from toolbox.discovery import in_use, installed
from toolbox.errors import WeightsError
from toolbox.files import is_file
from toolbox.programs.onnx_restorer import SUFFIX, open_onnx
from toolbox.registry import Registries
from toolbox.restorer import Restorer, build
from toolbox.weights import file
from toolbox.weights.convert import build_converted, formats_of, recognize
from toolbox.weights.published import read_checkpoint


def load(path_or_name: str | Path, *, registries: Registries | None = None) -> Restorer:
    """Load a trained restorer in eval mode.

    Args:
        path_or_name: a weights file, an ONNX file that Toolbox wrote, a published checkpoint of a known format, or
            the name of an architecture with weights.
        registries: where to look up names; by default the installed ones.

    Raises:
        WeightsError: the architecture has no weights, or the file is unreadable, of no known format, needs a plugin
            that is not active, or its tensors do not fit its spec.
        UnknownComponent: there is no such file or name.
    """
    path = Path(path_or_name)
    if path.suffix.lower() == SUFFIX:
        return open_onnx(path, registries=registries)
    if is_file(path) and not _is_ours(path):
        return _published(path, in_use(registries))
    return file.load(path_or_name, registries=registries)


def find_model(name: str, registries: Registries) -> Restorer:
    """The trained model. A model of the user's own catalog may be untrained, with a warning."""
    theirs = name in registries.architectures and name not in installed().architectures
    if is_file(Path(name)) or not theirs or registries.architectures[name].weights is not None:
        return load(name, registries=registries)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        restorer = build(name, registries=registries).eval()
    if next(restorer.parameters(), None) is not None:
        warnings.warn(
            f"{name!r} has no weights, so it restores with random ones; train it and add `weights: FILE` to its entry",
            stacklevel=2,
        )
    return restorer


def _is_ours(path: Path) -> bool:
    """Whether a file is a weights file of ours, or a damaged one; its reader then says what is wrong."""
    with path.open("rb") as opened:
        starts_with_header = opened.read(9)[8:] == b"{"
    if not starts_with_header:
        return path.suffix.lower() == ".safetensors"
    return any(key.startswith("toolbox.") for key in file.read_metadata(path))


def _published(path: Path, registries: Registries) -> Restorer:
    """The network of a published checkpoint whose format needs no hints."""
    checkpoint = read_checkpoint(path)
    if path.suffix.lower() == ".safetensors" and not formats_of(checkpoint, registries):
        names = ", ".join(each.name for each in registries.converters)
        raise WeightsError(
            f"{path}: no spec in its header; expected a file that Toolbox wrote, or a checkpoint of a known format "
            f"({names})"
        )
    return build_converted(recognize(path, hints={}, registries=registries))
