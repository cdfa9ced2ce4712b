"""timm's optimizers and schedules, by the names of a recipe."""

from __future__ import annotations

from typing import Any

import torch
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]  # timm does not mark what it exports
from timm.scheduler import create_scheduler_v2  # type: ignore[attr-defined]  # the same
from timm.scheduler.scheduler import Scheduler
from torch import nn

from toolbox.errors import TrainingError
from toolbox.training.recipe import Optimizer, Schedule

TICKS = 1_000_000  # timm's schedules count steps, ours follow the fraction of the budget


def create_optimizer(settings: Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    """Create timm's optimizer of that name.

    Raises:
        TrainingError: the optimizer does not work here, or needs second derivatives.
    """
    more: dict[str, Any] = {} if settings.betas is None else {"betas": settings.betas}
    try:
        optimizer: torch.optim.Optimizer = create_optimizer_v2(
            network, settings.name, settings.lr, settings.weight_decay, **more
        )
    # Each of a hundred optimizers fails in its own way.
    except Exception as error:
        raise TrainingError(f"optimizer {settings.name} cannot be used here: {error}; choose another") from None
    if getattr(optimizer, "is_second_order", False):
        raise TrainingError(f"optimizer {settings.name} needs second derivatives, expected one of first order")
    return optimizer


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
