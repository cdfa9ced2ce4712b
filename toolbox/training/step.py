"""One training step: batches in, one update of the weights, on any number of processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn

from toolbox.decoders.skip import resized
from toolbox.restorer import Restorer
from toolbox.training.data import Batch
from toolbox.training.losses import LOSSES
from toolbox.training.recipe import Clip, Recipe


class TrainedModule(nn.Module):
    """The forward pass of a training step as one module, so that it can be distributed."""

    def __init__(self, restorer: Restorer) -> None:
        super().__init__()
        self.restorer = restorer

    def forward(self, degraded: Tensor, size: tuple[int, int], points: Tensor | None) -> Tensor:
        """(B, C, h, w) → (B, C, *size), or (B, C, N) at the pixels ``points`` (B, N) of that size."""
        if points is None:
            restored: Tensor = self.restorer(degraded, size=size)
            return restored
        height, width = size
        rows, columns = (points // width).double(), (points % width).double()
        centers = torch.stack(((2 * rows + 1) / height - 1, (2 * columns + 1) / width - 1), -1)
        features = self.restorer.encode(self.restorer.pad(degraded))[..., : degraded.shape[2], : degraded.shape[3]]
        states = len(features) // len(degraded)  # states of a recurrent encoder, one after the other
        degraded, points, centers = (
            each.repeat(states, *[1] * (each.ndim - 1)) for each in (degraded, points, centers)
        )
        values: Tensor = self.restorer.decoder.query(features, centers, (2 / height, 2 / width))
        values = values.mT * self.restorer.std.flatten(2)
        skip = self.restorer.spec.global_skip
        if skip == "none":
            return values + self.restorer.mean.flatten(2)
        return values + at_points(resized(degraded, size, skip), points)


def at_points(image: Tensor, points: Tensor) -> Tensor:
    """(B, C, H, W) at pixels (B, N), numbered row by row → (B, C, N)."""
    return image.flatten(2).gather(2, points[:, None].expand(-1, image.shape[1], -1))


def take_step(
    recipe: Recipe, accelerator: Accelerator, module: nn.Module, optimizer: Any, batches: Sequence[Batch]
) -> tuple[float, float]:
    """Update the network once by all batches; return their mean loss and squared error in this process."""
    loss_sum = squared_error_sum = torch.zeros((), device=accelerator.device)
    for batch in batches:
        degraded, clean = batch.degraded.to(accelerator.device), batch.clean.to(accelerator.device)
        points = None if batch.points is None else batch.points.to(accelerator.device)
        with accelerator.accumulate(module):
            restored = module(degraded, (clean.shape[2], clean.shape[3]), points)
            expected = clean if points is None else at_points(clean, points)
            expected = expected.repeat(len(restored) // len(expected), *[1] * (expected.ndim - 1))
            loss = LOSSES[recipe.loss](restored, expected)
            accelerator.backward(loss)
            if recipe.clip is not None and accelerator.sync_gradients:
                accelerator.unscale_gradients()
                clip(recipe.clip, module)
            optimizer.step()  # only the last batch of a step does this
            optimizer.zero_grad()
        loss_sum = loss_sum + loss.detach() / len(batches)
        squared_error_sum = squared_error_sum + F.mse_loss(restored.detach(), expected) / len(batches)
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
