"""One training step: batches in, one update of the weights, on any number of processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn

from toolbox.learning import LossInput
from toolbox.points import at_points, decode_at
from toolbox.restorer import Restorer
from toolbox.training.data import Batch
from toolbox.training.recipe import Recipe
from toolbox.training.settings import Clip


class TrainedModule(nn.Module):
    """The forward pass of a training step with the losses, as one module, so that it can be distributed."""

    def __init__(self, restorer: Restorer, losses: nn.Module, state_weight: float = 1.0) -> None:
        super().__init__()
        self.restorer, self.losses, self.state_weight = restorer, losses, state_weight

    def forward(
        self, degraded: Tensor, clean: Tensor, points: Tensor | None, conditions: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The loss and the squared error of a batch: (B, C, h, w), (B, C, H, W), maybe only at points (B, N).

        A recurrent network may give the images of all its states. The loss is then their weighted mean, in which the
        last state weighs 1, and the squared error is that of the last state.
        """
        size = (clean.shape[2], clean.shape[3])
        features = self.restorer.encode(self.restorer.pad(self.restorer.with_conditions(degraded, conditions)))
        restored = decode_at(self.restorer, features, degraded, size, points)
        expected = clean if points is None else at_points(clean, points)
        with torch.autocast(degraded.device.type, enabled=False):  # losses need full precision
            restored, features = restored.to(clean), features.to(clean)
            given = LossInput(restored, expected, degraded, features, size, points, conditions)
            earlier, last = by_state(given)
            loss = self.losses(last)
            if earlier is not None and self.state_weight:
                weight = self.state_weight * len(earlier.restored) / len(last.restored)
                loss = (weight * self.losses(earlier) + loss) / (weight + 1)
        return loss, F.mse_loss(last.restored.detach(), last.clean)


def by_state(given: LossInput) -> tuple[LossInput | None, LossInput]:
    """The part of a loss's input for the earlier states, if there are any, and the part for the last state.

    The restored images come state by state, (T·B, C, H, W). Tensors of B images are the same for all states.
    """
    batch, total = len(given.clean), len(given.restored)
    if total == batch:
        return None, given

    def part(states: slice) -> LossInput:
        def of(tensor: Tensor) -> Tensor:
            repeated = tensor if len(tensor) == total else tensor.repeat(total // batch, *[1] * (tensor.ndim - 1))
            return repeated[states]

        return LossInput(
            of(given.restored),
            of(given.clean),
            of(given.degraded),
            of(given.features),
            given.size,
            None if given.points is None else of(given.points),
            {name: of(value) for name, value in given.conditions.items()},
        )

    return part(slice(total - batch)), part(slice(total - batch, total))


def take_step(
    recipe: Recipe, accelerator: Accelerator, module: nn.Module, optimizer: Any, batches: Sequence[Batch]
) -> tuple[float, float]:
    """Update the network once by all batches; return their mean loss and squared error in this process."""
    loss_sum = squared_error_sum = torch.zeros((), device=accelerator.device)
    for batch in batches:
        degraded, clean = batch.degraded.to(accelerator.device), batch.clean.to(accelerator.device)
        points = None if batch.points is None else batch.points.to(accelerator.device)
        with accelerator.accumulate(module):
            conditions = {name: value.to(accelerator.device) for name, value in batch.conditions.items()}
            loss, squared_error = module(degraded, clean, points, conditions)
            accelerator.backward(loss)
            if recipe.clip is not None and accelerator.sync_gradients:
                accelerator.unscale_gradients()
                clip(recipe.clip, module)
            optimizer.step()  # only the last batch of a step does this
            optimizer.zero_grad()
        loss_sum = loss_sum + loss.detach() / len(batches)
        squared_error_sum = squared_error_sum + squared_error.detach() / len(batches)
    return loss_sum.item(), squared_error_sum.item()


def clip(settings: Clip, module: nn.Module) -> None:
    """Scale down gradients with a larger norm, for each tensor or for all together."""
    for parameters in module.parameters() if settings.of == "tensor" else [list(module.parameters())]:
        nn.utils.clip_grad_norm_(parameters, settings.norm)


def agree(
    accelerator: Accelerator, loss: float, squared_error: float, seconds: float, stopped: bool
) -> tuple[float, float, float, bool]:
    """The means over all processes, and whether any has to stop, so that all act alike."""
    if accelerator.num_processes == 1:
        return loss, squared_error, seconds, stopped
    own = torch.tensor([loss, squared_error, seconds, stopped], dtype=torch.float64, device=accelerator.device)
    mean = accelerator.reduce(own, "mean").tolist()
    return mean[0], mean[1], mean[2], mean[3] > 0
