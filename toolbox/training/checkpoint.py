"""The state of a run in one safetensors file, from which it goes on as if it had never stopped."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from toolbox.errors import TrainingError, WeightsError
from toolbox.files import written_beside
from toolbox.weights.file import describe_mismatch, read_tensors


@dataclass
class RunProgress:
    """How far a run is and how it does."""

    step: int = 0
    seconds: float = 0.0  # of training, before and after interruptions
    loss: float = 0.0  # running average
    squared_error: float = 0.0  # running average
    validation: float | None = None  # the last score in dB

    def add(self, seconds: float, loss: float, squared_error: float) -> None:
        """Count a step; the averages are plain means at first, then of about the last hundred steps."""
        self.step += 1
        self.seconds += seconds
        weight = max(0.01, 1 / self.step)
        self.loss += weight * (loss - self.loss)
        self.squared_error += weight * (squared_error - self.squared_error)

    @property
    def psnr(self) -> float:
        """Of the running average, in dB."""
        return -10 * math.log10(max(self.squared_error, 1e-10))


@dataclass
class RunState:
    """Everything that changes while a run goes on. Random numbers do not: they follow from the step."""

    restorer: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    progress: RunProgress


def save_checkpoint(path: Path, state: RunState, identity: Mapping[str, Any]) -> None:
    """Write the state beside ``path`` and rename it.

    Args:
        path: the checkpoint.
        state: what is written.
        identity: what a run that goes on from here must have in common with this one.

    Raises:
        TrainingError: it cannot be written; the checkpoint before is untouched.
    """
    tensors = {f"model.{name}": tensor for name, tensor in state.restorer.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in state.average.state_dict().items()}
    content = state.optimizer.state_dict()
    groups = dict(enumerate(content["param_groups"]))
    plain = {}
    for part, values in (("optimizer", content["state"]), ("group", groups)):
        tensors |= {f"{part}.{i}.{key}": v for i, each in values.items() for key, v in each.items() if _is_tensor(v)}
        plain[part] = {i: {key: v for key, v in each.items() if _is_plain(v)} for i, each in values.items()}
    if odd := {
        key for each in content["state"].values() for key, v in each.items() if not (_is_tensor(v) or _is_plain(v))
    }:
        raise TrainingError(
            f"optimizer {type(state.optimizer).__name__} keeps {', '.join(sorted(odd))}, which no checkpoint can hold; "
            "choose another"
        )
    metadata = {
        "progress": json.dumps(asdict(state.progress)),
        "identity": json.dumps(identity),
        "optimizer": json.dumps({"groups": [*plain["group"].values()], "numbers": plain["optimizer"]}),
    }
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    try:
        with written_beside(path) as partial:
            save_file(copies, partial, metadata)
    except (OSError, SafetensorError) as error:
        last = "the last one is untouched" if path.exists() else "there is none yet"
        raise TrainingError(f"{path}: the checkpoint cannot be written: {error}; {last}") from None


def load_checkpoint(path: Path, state: RunState, identity: Mapping[str, Any]) -> None:
    """Put a run into the state of a checkpoint.

    Raises:
        TrainingError: the checkpoint is of another run; the message has every difference.
        WeightsError: it cannot be read.
    """
    tensors = read_tensors(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    try:
        progress, before, content = (json.loads(metadata[key]) for key in ("progress", "identity", "optimizer"))
    except (KeyError, ValueError):
        raise WeightsError(f"{path}: is no checkpoint of a training run") from None
    if changes := differences(before, json.loads(json.dumps(identity))):
        raise TrainingError(
            f"{path}: cannot go on with another recipe: {'; '.join(changes)}; "
            "give what the run was started with, or start another with --run"
        )
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}, "group": {}}
    for name, tensor in tensors.items():
        part, _, key = name.partition(".")
        parts.setdefault(part, {})[key] = tensor
    for part, module in (("model", state.restorer), ("average", state.average)):
        given, ours = ({k: tuple(v.shape) for k, v in each.items()} for each in (parts[part], module.state_dict()))
        if complaint := describe_mismatch(given, ours):
            raise WeightsError(f"{path}: is the checkpoint of another network: {complaint}")
        module.load_state_dict(parts[part])
    kept: dict[int, dict[str, Any]] = {int(number): values for number, values in content["numbers"].items()}
    for name, tensor in parts["optimizer"].items():
        number, _, key = name.partition(".")
        kept.setdefault(int(number), {})[key] = tensor
    groups = [
        {**new, **old} for new, old in zip(state.optimizer.state_dict()["param_groups"], content["groups"], strict=True)
    ]
    for name, tensor in parts["group"].items():
        number, _, key = name.partition(".")
        groups[int(number)][key] = tensor
    state.optimizer.load_state_dict({"state": kept, "param_groups": groups})
    state.progress = RunProgress(**progress)


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


def _is_plain(value: object) -> bool:
    """Whether it is the same when it comes back from JSON, but for tuples."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def differences(before: Any, now: Any, path: str = "") -> list[str]:
    """What changed between two trees of JSON data, each with its path."""
    if before == now:
        return []
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(key for key in now if key not in before)]
        return [each for key in keys for each in differences(before.get(key), now.get(key), f"{path}.{key}".strip("."))]
    return [f"{path} was {before!r}, is {now!r}"]
