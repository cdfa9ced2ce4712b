"""The training loop: a time budget, an average of the weights, checkpoints that can be resumed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn

from toolbox.errors import WeightsError
from toolbox.restorer import Restorer
from toolbox.weights.file import describe_mismatch

Batch = Callable[[torch.Generator], tuple[Tensor, Tensor]]  # draws (degraded, clean)
Loss = Callable[[Tensor, Tensor], Tensor]


def train(
    restorer: Restorer,
    draw_batch: Batch,
    loss: Loss,
    *,
    minutes: float,
    checkpoint: Path,
    learning_rate: float = 1e-3,
    gradient_clip: float = 2.5,
    seed: int = 0,
    save_every: float = 2.0,
    report: Callable[[str], None] = print,
) -> tuple[Restorer, int]:
    """Train for a time budget with Adam, a cosine learning rate and an average of the weights.

    Args:
        restorer: the network; trained in place.
        draw_batch: gives the batch of a step; it sees a generator seeded by the seed and the step.
        loss: of (restored, clean).
        minutes: the budget of training time; time spent before an interruption counts.
        checkpoint: a safetensors file, written every ``save_every`` minutes and read if it exists.
        learning_rate: at the start; it ends at a hundredth, after a warm-up of 100 steps.
        gradient_clip: bound on the norm of each tensor's gradient, as NLRN trains.
        seed: of the batches.
        save_every: minutes between checkpoints.
        report: takes a line of progress at each checkpoint.

    Returns:
        A copy of the network with the averaged weights, in eval mode, and the steps taken.
    """
    optimizer = torch.optim.Adam(restorer.parameters(), learning_rate)
    average = ModelEmaV3(restorer, decay=0.999, use_warmup=True)
    step, spent = _resume(checkpoint, restorer, average.module, optimizer) if checkpoint.exists() else (0, 0.0)
    restorer.train()
    budget, running, saved = 60 * minutes, math.nan, spent
    while spent < budget:
        started = time.monotonic()
        rate = learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * spent / budget)))
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 100)
        degraded, clean = draw_batch(torch.Generator().manual_seed(seed * 1_000_003 + step))
        restored = restorer(degraded, size=(clean.shape[2], clean.shape[3]))
        value = loss(restored, clean)
        optimizer.zero_grad()
        value.backward()
        for parameter in restorer.parameters():
            nn.utils.clip_grad_norm_(parameter, gradient_clip)
        optimizer.step()
        step += 1
        average.update(restorer, step=step)
        running = value.item() if math.isnan(running) else 0.99 * running + 0.01 * value.item()
        spent += time.monotonic() - started
        if spent - saved > 60 * save_every or spent >= budget:
            saved = spent
            _save(checkpoint, restorer, average.module, optimizer, step, spent)
            report(f"step {step}  {spent / 60:.1f} of {minutes:g} min  loss {running:.6f}")
    trained: Restorer = average.module
    return trained.eval(), step


def _save(
    path: Path, restorer: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, step: int, spent: float
) -> None:
    tensors = {f"model.{k}": v for k, v in restorer.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for name, parameter in restorer.named_parameters():
        # A frozen parameter has no state.
        tensors |= {f"optimizer.{k}.{name}": v for k, v in optimizer.state[parameter].items()}
    beside = path.with_suffix(".partial")
    save_file(tensors, beside, {"progress": json.dumps({"step": step, "spent": spent})})
    beside.replace(path)


def _resume(path: Path, restorer: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    with safe_open(path, "pt") as file:
        progress = json.loads(file.metadata()["progress"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a mapping
    for prefix, module in (("model.", restorer), ("average.", average)):
        state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        shapes, ours = ({k: tuple(v.shape) for k, v in each.items()} for each in (state, module.state_dict()))
        if complaint := describe_mismatch(shapes, ours):
            raise WeightsError(f"{path}: is the checkpoint of another network: {complaint}")
        module.load_state_dict(state)
    for name, parameter in restorer.named_parameters():
        if f"optimizer.step.{name}" in tensors:
            optimizer.state[parameter] = {
                k: tensors[f"optimizer.{k}.{name}"] for k in ("step", "exp_avg", "exp_avg_sq")
            }
    return progress["step"], progress["spent"]
