"""Estimate the memory and time of a run from a few steps that are thrown away."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toolbox.training.recipe import Recipe
from toolbox.training.run import build_run
from toolbox.training.step import take_step

STEPS = 3


def estimate(recipe: Recipe) -> dict[str, Any]:
    """Estimate a run. It only writes to a temporary folder.

    Memory, in bytes for one process, is that of weights, gradients, averages and the optimizer, and of the
    values that the largest of a few steps keeps for its backward pass. Decoded pictures stay on disk.
    """
    with tempfile.TemporaryDirectory(prefix="toolbox-") as folder:
        run = build_run(recipe, Path(folder))
        seconds, kept = [], []
        for number in range(STEPS):
            started = time.monotonic()
            batches = [run.batches[number * recipe.batches + i] for i in range(recipe.batches)]
            with _SavedForBackward() as saved:
                take_step(recipe, run.accelerator, run.module, run.optimizer, batches)
            seconds.append(time.monotonic() - started)
            kept.append(saved.bytes)
        parameters = list(run.restorer.parameters())
        optimizer = [value for values in run.state.optimizer.state.values() for value in values.values()]
        lasting = [*parameters, *parameters, *run.average.module.parameters()]  # the second time as gradients
        step = statistics.median(seconds)
        budget = recipe.budget
        return {
            "model": recipe.model.summary,
            "parameters": sum(parameter.numel() for parameter in parameters),
            "receptive_field": run.restorer.receptive_field,
            "sizes": run.restorer.sizes,
            "pictures": len(run.pictures),
            "left_out": run.pictures.left_out,
            **run.pictures.facts(),
            "memory": _bytes([*lasting, *(value for value in optimizer if isinstance(value, Tensor))]) + max(kept),
            "device": str(run.accelerator.device),
            "processes": run.accelerator.num_processes,
            "seconds_per_step": step,
            "steps": budget.steps or round(60 * (budget.minutes or 0.0) / step),
            "minutes": budget.minutes or budget.steps * step / 60,  # type: ignore[operator]  # one of them is given
        }


class _SavedForBackward:
    """Counts the bytes that autograd keeps, each storage once."""

    def __enter__(self) -> _SavedForBackward:
        self.storages: dict[int, int] = {}
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)
        self.hooks.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.hooks.__exit__(*exception)
        self.bytes = sum(self.storages.values())

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self.storages[storage.data_ptr()] = storage.nbytes()
        return tensor


def _bytes(tensors: list[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
