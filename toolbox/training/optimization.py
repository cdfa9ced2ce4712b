"""timm's optimizers and schedules, by the names of a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]  # timm does not mark what it exports
from timm.scheduler import create_scheduler_v2  # type: ignore[attr-defined]  # the same
from timm.scheduler.scheduler import Scheduler
from torch import nn

from toolbox.errors import TrainingError
from toolbox.training.recipe import is_part
from toolbox.training.settings import Optimizer, Schedule

TICKS = 1_000_000  # timm's schedules count steps, ours follow the fraction of the budget


def create_optimizer(settings: Optimizer, network: nn.Module, losses: nn.Module | None = None) -> torch.optim.Optimizer:
    """Create timm's optimizer of that name, for a network and the parameters of its losses.

    Raises:
        TrainingError: the optimizer does not work here, or needs second derivatives.
    """
    more: dict[str, Any] = {} if settings.betas is None else {"betas": settings.betas}
    trained = nn.ModuleDict({"network": network, "loss": losses or nn.Module()})
    try:
        optimizer: torch.optim.Optimizer = create_optimizer_v2(
            trained, settings.name, settings.lr, settings.weight_decay, **more
        )
    # Each of a hundred optimizers fails in its own way.
    except Exception as error:
        raise TrainingError(f"optimizer {settings.name} cannot be used here: {error}; choose another") from None
    if getattr(optimizer, "is_second_order", False):
        raise TrainingError(f"optimizer {settings.name} needs second derivatives, expected one of first order")
    names = {parameter: name.removeprefix("network.") for name, parameter in trained.named_parameters()}
    optimizer.param_groups[:] = [part for group in optimizer.param_groups for part in _by_rate(group, names, settings)]
    return optimizer


def _by_rate(group: dict[str, Any], names: Mapping[Any, str], settings: Optimizer) -> Iterator[dict[str, Any]]:
    """Split a group of parameters by learning rate; the rate of an inner part wins."""
    parts: dict[float, list[Any]] = {}
    for parameter in group["params"]:
        found = [part for part in settings.rates if is_part(names[parameter], [part])]
        rate = settings.rates[max(found, key=len)] if found else settings.lr
        parts.setdefault(rate / settings.lr, []).append(parameter)
    for scale, parameters in parts.items():
        yield {**group, "params": parameters} | ({} if scale == 1 else {"lr_scale": scale})


def rate_of(optimizer: torch.optim.Optimizer) -> float:
    """The learning rate of parts without a rate of their own."""
    group = optimizer.param_groups[0]
    return float(group["lr"] / group.get("lr_scale", 1.0))


def create_schedule(settings: Schedule, lr: float, optimizer: torch.optim.Optimizer) -> Scheduler:
    """Create timm's schedule over TICKS. It depends only on the tick, so there is nothing to save."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] = lr  # a checkpoint stores the rate at its step
    schedule: Scheduler
    schedule, _ = create_scheduler_v2(
        optimizer,
        "multistep" if settings.name == "constant" else settings.name,
        num_epochs=TICKS,
        decay_milestones=[round(TICKS * fraction) for fraction in settings.milestones],
        decay_rate=settings.decay,
        min_lr=lr * settings.final,
        warmup_lr=lr * settings.final,
        warmup_epochs=round(TICKS * settings.warmup),
    )
    return schedule
