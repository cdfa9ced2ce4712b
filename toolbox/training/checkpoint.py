"""The state of a run in one safetensors file, from which the run goes on as if it had never stopped.

On a CPU with the same number of threads this is true bit for bit. Threads split sums among them, and the order
of additions decides their rounding, so the checkpoint records the number of threads.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from toolbox.errors import TrainingError, WeightsError
from toolbox.files import written_beside
from toolbox.training.losses import WeightedLosses
from toolbox.weights.file import describe_mismatch, read_metadata, read_tensors


class ResumeWarning(UserWarning):
    """A run goes on, but its weights will not be the same bit for bit."""


@dataclass
class RunProgress:
    """The progress of a run, and how well it does."""

    step: int = 0
    seconds: float = 0.0  # of training, over all interruptions
    loss: float = 0.0  # running average
    magnitude: float = 0.0  # running average of its absolute value
    squared_error: float = 0.0  # running average
    validation: float | None = None  # the last score, by the protocol's leading metric
    scales: tuple[float, ...] = ()  # scales of the mean
    best: float | None = None  # the best one
    best_step: int = 0
    origin: float = 0.0  # steps or seconds after which the schedule began anew

    def add(self, seconds: float, loss: float, squared_error: float) -> None:
        """Count a step. The averages are plain means at first, and later cover about the last hundred steps."""
        self.step += 1
        self.seconds += seconds
        weight = max(0.01, 1 / self.step)
        self.loss += weight * (loss - self.loss)
        self.magnitude += weight * (abs(loss) - self.magnitude)
        self.squared_error += weight * (squared_error - self.squared_error)

    @property
    def psnr(self) -> float:
        """The PSNR of the running average, in dB."""
        return -10 * math.log10(max(self.squared_error, 1e-10))


@dataclass
class RunState:
    """Everything that changes during a run. Random numbers are not part of it; they follow from the step."""

    restorer: nn.Module
    average: nn.Module
    losses: WeightedLosses
    optimizer: torch.optim.Optimizer
    progress: RunProgress


def save_checkpoint(path: Path, state: RunState, identity: Mapping[str, Any]) -> None:
    """Write the state beside ``path`` and rename it.

    Args:
        path: the checkpoint.
        state: the state to write.
        identity: the facts that a resumed run must share with this one.

    Raises:
        TrainingError: it cannot be written; the checkpoint before is untouched.
    """
    tensors = {f"model.{name}": tensor for name, tensor in state.restorer.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in state.average.state_dict().items()}
    tensors |= {f"loss.{name}": tensor for name, tensor in state.losses.kept().items()}
    optimizer_tensors, numbers = _pack(state.optimizer)
    tensors |= optimizer_tensors
    metadata = {
        "progress": json.dumps(asdict(state.progress)),
        "identity": json.dumps(identity),
        "optimizer": json.dumps(numbers),
        "threads": str(torch.get_num_threads()),
    }
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    try:
        with written_beside(path) as partial:
            save_file(copies, partial, metadata)
    except (OSError, SafetensorError) as error:
        last = "the last one is intact" if path.exists() else "there is none yet"
        raise TrainingError(f"{path}: the checkpoint cannot be written: {error}; {last}") from None


def check_checkpoint(path: Path, identity: Mapping[str, Any], extended: str = "restart") -> RunProgress:
    """Check that a run can go on from a checkpoint, and read its progress without its tensors.

    A finished run goes on with a larger budget. Its schedule then begins anew if ``extended`` is restart.

    Raises:
        TrainingError: the checkpoint is of another run; the message has every difference.
        WeightsError: it cannot be read.
    """
    metadata = read_metadata(path)
    try:
        content, before, _ = (json.loads(metadata[key]) for key in ("progress", "identity", "optimizer"))
        progress = RunProgress(**{**content, "scales": tuple(content.get("scales", ()))})
    except (KeyError, ValueError, TypeError):
        raise WeightsError(f"{path} is not the checkpoint of a training run") from None
    now = json.loads(json.dumps(identity))
    for unit, used in (("steps", progress.step), ("minutes", progress.seconds / 60)):
        old, new = (each.get("budget", {}).get(unit) or math.inf for each in (before, now))
        if old <= used and old < new < math.inf:  # a finished run that goes on
            before = {**before, "budget": now["budget"]}
            if extended == "restart":
                progress.origin = progress.step if unit == "steps" else progress.seconds
    if changes := differences(before, now):
        raise TrainingError(
            f"{path}: cannot continue with another recipe: {'; '.join(changes)}; "
            "use the settings that the run was started with, or start another with --run"
        )
    return progress


def load_checkpoint(path: Path, state: RunState) -> None:
    """Put a run into the state of a checkpoint that ``check_checkpoint`` accepted, except for its progress.

    It gives a ResumeWarning if the run had another number of threads before.

    Raises:
        WeightsError: it cannot be read, or is of another network.
    """
    tensors = read_tensors(path)
    metadata = read_metadata(path)
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "loss": {}, "optimizer": {}, "group": {}}
    for name, tensor in tensors.items():
        part, _, key = name.partition(".")
        parts.setdefault(part, {})[key] = tensor
    ours = {"model": state.restorer.state_dict(), "average": state.average.state_dict(), "loss": state.losses.kept()}
    for part, expected in ours.items():
        given, shapes = ({k: tuple(v.shape) for k, v in each.items()} for each in (parts[part], expected))
        if complaint := describe_mismatch(given, shapes):
            raise WeightsError(f"{path} is the checkpoint of another network: {complaint}")
    state.restorer.load_state_dict(parts["model"])
    state.average.load_state_dict(parts["average"])
    state.losses.load_state_dict(parts["loss"], strict=False)  # without the frozen parts of losses
    _unpack(state.optimizer, parts, json.loads(metadata["optimizer"]))
    on_cpu = all(parameter.device.type == "cpu" for parameter in state.restorer.parameters())
    if on_cpu and (threads := metadata.get("threads")) not in (None, str(torch.get_num_threads())):
        warnings.warn(
            f"{path}: the run had {threads} threads before and has {torch.get_num_threads()} now, so that its weights "
            f"will round differently; set OMP_NUM_THREADS={threads} to get those of a run that was never stopped",
            ResumeWarning,
            stacklevel=2,
        )


def _pack(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state: tensors by part, number and key, and numbers as JSON data."""
    content = optimizer.state_dict()
    parts = {"optimizer": content["state"], "group": dict(enumerate(content["param_groups"]))}
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, dict[int, dict[str, Any]]] = {part: {} for part in parts}
    for part, members in parts.items():
        for i, values in members.items():
            numbers[part][i] = {key: value for key, value in values.items() if _is_plain(value)}
            tensors |= {f"{part}.{i}.{key}": value for key, value in values.items() if isinstance(value, Tensor)}
            odd = [key for key in values if f"{part}.{i}.{key}" not in tensors and key not in numbers[part][i]]
            if odd and part == "optimizer":  # a setting of a group, which a new optimizer has too
                raise TrainingError(
                    f"optimizer {type(optimizer).__name__} keeps {', '.join(odd)}, which no checkpoint can hold; "
                    "choose another"
                )
    return tensors, {"groups": list(numbers["group"].values()), "numbers": numbers["optimizer"]}


def _unpack(optimizer: torch.optim.Optimizer, parts: Mapping[str, Mapping[str, Tensor]], numbers: Any) -> None:
    """Put an optimizer into the state from ``_pack``."""
    fresh = optimizer.state_dict()["param_groups"]
    groups = [{**new, **old} for new, old in zip(fresh, numbers["groups"], strict=True)]
    state: dict[int, dict[str, Any]] = {int(number): values for number, values in numbers["numbers"].items()}
    for part, members in (("optimizer", state), ("group", dict(enumerate(groups)))):
        for name, tensor in parts[part].items():
            number, _, key = name.partition(".")
            members.setdefault(int(number), {})[key] = tensor
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, kept in state.items():
        for key, value in kept.items():
            if isinstance(value, Tensor) and value.shape == parameters[index].shape:
                # In the layout of the parameter, which decides the order of an optimizer's sums and so their rounding.
                kept[key] = torch.empty_like(parameters[index], dtype=value.dtype, device=value.device).copy_(value)
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _is_plain(value: object) -> bool:
    """Whether the value survives JSON, apart from tuples."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def differences(before: Any, now: Any, path: str = "") -> list[str]:
    """The differences between two trees of JSON data, each with its path."""
    if before == now:
        return []
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(key for key in now if key not in before)]
        return [each for key in keys for each in differences(before.get(key), now.get(key), f"{path}.{key}".strip("."))]
    return [f"{path} was {before!r}, is {now!r}"]
