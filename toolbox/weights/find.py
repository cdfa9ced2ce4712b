"""Find the network for a name or a path, ready to restore."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BeforeValidator, WithJsonSchema

from toolbox.config import fault, located
from toolbox.discovery import in_use, installed
from toolbox.errors import WeightsError
from toolbox.files import is_file
from toolbox.hub import fetch, is_hub_name, pinned, source_of
from toolbox.programs.onnx_restorer import SUFFIX, open_onnx
from toolbox.registry import Registries
from toolbox.restorer import Restorer, build
from toolbox.weights import file
from toolbox.weights.convert import build_converted, formats_of, recognize
from toolbox.weights.published import read_checkpoint


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


def load(path_or_name: str | Path, *, registries: Registries | None = None) -> Restorer:
    """Load a trained restorer in eval mode.

    Args:
        path_or_name: a weights file, an ONNX file that Toolbox wrote, a published checkpoint of a known format, the
            name of an architecture with weights, or ``hf://user/repo[@revision][/file]``, a weights file on the Hugging
            Face Hub, which is downloaded once.
        registries: where to look up names; by default the installed ones.

    Raises:
        WeightsError: the architecture has no weights, or the file is unreadable, of no known format, needs a plugin
            that is not active, its tensors do not fit its spec, or the hub does not give it.
        UnknownComponent: there is no such file or name.
    """
    registries = in_use(registries)
    model = fetch(str(path_or_name)) if is_hub_name(path_or_name) else path_or_name
    path = Path(model)
    if path.suffix.lower() == SUFFIX:
        return open_onnx(path, registries=registries)
    if is_file(path) and not _is_ours(path):
        restorer = _published(path, registries)
        restorer.source = source_of(path)
        return restorer
    return file.load(model, registries=registries)


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
