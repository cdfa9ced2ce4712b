"""Read published checkpoints without executing anything in them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolbox.conversion import Checkpoint
from toolbox.errors import WeightsError
from toolbox.weights.file import read_tensors

PICKLE = b"\x80"  # first byte of a pickle of protocol 2 or later
TORCH_MAGIC = 0x1950A86A20F9469CFC6C.to_bytes(10, "little")  # pickled first by old versions of torch.save

# Keys of dictionaries around a state dict, an average of weights before the weights themselves.
WRAPPERS = ("state_dict", "model_state_dict", "model", "sd", "params_ema", "params-ema", "params", "net")


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

    Such dictionaries are ``{"model": {"sd": ...}}`` (LIIF), ``{"state_dict": ...}`` (Lightning) and the like. Of
    BasicSR's ``params`` and their moving average ``params_ema``, the average is taken. Everything besides the tensors
    becomes a note.

    Raises:
        WeightsError: there are no named tensors in it.
    """
    if not isinstance(content, Mapping):
        raise WeightsError(f"{origin}: got a {type(content).__name__}, expected a mapping of names to tensors")
    for key in WRAPPERS:
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
    # In a damaged archive, Python's zipfile also finds names and versions that it cannot read.
    except Exception as error:
        raise WeightsError(f"{path}: the archive is damaged: {error}") from None


def _read_npz(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(np.array(arrays[name])) for name in arrays.files}
    # The same, and errors of numpy and zlib.
    except Exception as error:
        raise WeightsError(f"{path}: not readable as plain arrays: {error}") from None


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        first = str(error).split("\n", 1)[0].split(". ", 1)[0]
        raise WeightsError(
            f"{path}: the file is damaged or holds more than tensors and plain data ({first}); "
            "save only its state dict and convert that"
        ) from None
    # Torch's readers raise all kinds of errors for a file that is no checkpoint.
    except Exception as error:
        reason = str(error).split("\n", 1)[0] or "it is empty or cut off"
        raise WeightsError(f"{path}: not a checkpoint that torch can read: {reason}") from None
