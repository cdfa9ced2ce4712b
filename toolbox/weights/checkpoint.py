"""Published checkpoints: reading one without running anything in it, and planning its conversion."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolbox.errors import WeightsError
from toolbox.weights.file import read_tensors

PICKLE = b"\x80"  # what a pickle of protocol 2 or later begins with
TORCH_MAGIC = 0x1950A86A20F9469CFC6C.to_bytes(10, "little")  # pickled first by torch.save before there were archives


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by their published names, and what else the file says (hyperparameters, a spec)."""

    tensors: Mapping[str, Tensor]
    notes: Mapping[str, Any] = field(default_factory=dict)

    def shape(self, name: str, axes: int = 4) -> tuple[int, ...]:
        """The shape of a tensor that says what the rest of the network is, such as a convolution's kernel.

        Raises:
            WeightsError: there is none of that name, it has another number of axes, or no element.
        """
        if name not in self.tensors:
            raise WeightsError(f"missing {name!r}, which says what the rest of the network is")
        shape = tuple(self.tensors[name].shape)
        if len(shape) != axes or 0 in shape:
            raise WeightsError(f"{name!r} has shape {list(shape)}, expected {axes} axes with elements")
        return shape

    def count(self, pattern: str) -> int:
        """How many tensors there are of a numbered name: the first i for which ``pattern.format(i)`` is missing."""
        number = 0
        while pattern.format(number) in self.tensors:
            number += 1
        return number


@dataclass(frozen=True)
class Source:
    """Where one of our tensors comes from: published tensors, and how they are joined into it."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]  # what the published tensors must have
    join: Callable[..., Tensor]


@dataclass(frozen=True)
class Conversion:
    """What a converter plans: the spec, the source of each of our tensors, and names that are not needed.

    A plain string is the published name of a tensor that is taken as it is.
    """

    spec: Mapping[str, Any]
    sources: Mapping[str, str | Source]
    ignored: frozenset[str] = frozenset()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a .safetensors, .npz, PyTorch or TensorFlow checkpoint; nothing in it is executed.

    Raises:
        WeightsError: the file cannot be read, holds no named tensors, or holds more than data.
    """
    if path.with_name(path.name + ".index").exists():
        from toolbox.weights.tensorflow_checkpoint import read_variables

        return Checkpoint(read_variables(path))
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None
    if start[8:9] == b"{":
        return Checkpoint(read_tensors(path))
    if start[:4] == b"PK\x03\x04" and _holds_arrays(path):
        return Checkpoint(_read_npz(path))
    if start[:1] == PICKLE and TORCH_MAGIC not in start:
        raise WeightsError(
            f"{path}: refused, since it is a pickle, which can run code; where you trust it, save its arrays "
            "by name in an .npz file and convert that"
        )
    return checkpoint_of(_read_torch(path), str(path))


def checkpoint_of(content: Any, origin: str) -> Checkpoint:
    """The tensors and notes of a state dict, or of the usual dictionaries around one.

    Those are ``{"model": {"sd": ...}}`` (LIIF), ``{"state_dict": ...}`` (Lightning) and the like;
    notes are everything beside the tensors.

    Raises:
        WeightsError: there are no named tensors in it.
    """
    if not isinstance(content, Mapping):
        raise WeightsError(f"{origin}: got a {type(content).__name__}, expected a mapping of names to tensors")
    for key in ("state_dict", "model", "sd", "params", "params_ema"):
        inner = content.get(key)
        if isinstance(inner, Mapping):
            found = checkpoint_of(inner, origin)
            outer = {name: value for name, value in content.items() if name != key}
            return Checkpoint(found.tensors, {**outer, **found.notes})
    tensors, notes = {}, {}
    for name, value in content.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            value = torch.from_numpy(value.copy())
        if isinstance(value, Tensor):
            tensors[str(name)] = value.detach()
        else:
            notes[str(name)] = value
    if not tensors:
        raise WeightsError(f"{origin}: holds no named tensors; expected a checkpoint's state dict")
    return Checkpoint(tensors, notes)


def _holds_arrays(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    # In a damaged archive Python's zipfile also meets names and versions that it cannot read.
    except Exception as error:
        raise WeightsError(f"{path}: a damaged archive: {error}") from None


def _read_npz(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(np.array(arrays[name])) for name in arrays.files}
    # The same, and whatever numpy and zlib meet.
    except Exception as error:
        raise WeightsError(f"{path}: not readable as plain arrays: {error}") from None


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        first = str(error).split("\n", 1)[0].split(". ", 1)[0]
        raise WeightsError(
            f"{path}: refused, since it is damaged or holds more than tensors and plain data ({first}); "
            "save its state dict alone and convert that"
        ) from None
    # Torch raises whatever its readers meet in a file that is no checkpoint.
    except Exception as error:
        reason = str(error).split("\n", 1)[0] or "it is empty or cut off"
        raise WeightsError(f"{path}: not a checkpoint that torch can read: {reason}") from None


def hint_needed(hint: str, choices: tuple[str, ...]) -> WeightsError:
    """The error for what a checkpoint's keys cannot tell."""
    options = " or ".join(f"{hint}={choice!r}" for choice in choices)
    return WeightsError(f"its keys cannot tell {hint}; give the hint {options}")
