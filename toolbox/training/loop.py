"""The training loop: steps until the budget is used up, checkpoints by which a run survives anything."""

from __future__ import annotations

import itertools
import json
import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.scheduler.scheduler import Scheduler
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.utils.data import DataLoader

from toolbox.decoders.bicubic import resize
from toolbox.errors import TrainingError
from toolbox.restorer import Restorer
from toolbox.training.checkpoint import RunProgress, RunState, load_checkpoint, save_checkpoint
from toolbox.training.data import Batch, Batches, Pictures, open_pictures
from toolbox.training.log import Log
from toolbox.training.losses import LOSSES
from toolbox.training.recipe import Budget, Clip, Optimizer, Recipe, Schedule
from toolbox.training.validation import sample_picture, score

CHECKPOINT = "checkpoint.safetensors"
SAVE_EVERY = 120.0  # seconds; it does not change the weights that a run ends with
TICKS = 1_000_000  # timm's schedules count steps, ours go by the fraction of the budget
EXPLODED = 1000.0  # times the running average of the loss


class TrainedModule(nn.Module):
    """What a step asks of a restorer, as one call, so that it can be distributed."""

    def __init__(self, restorer: Restorer) -> None:
        super().__init__()
        self.restorer = restorer

    def forward(self, degraded: Tensor, size: tuple[int, int], points: Tensor | None) -> Tensor:
        """(B, C, h, w) → (B, C, *size), or (B, C, N) at the pixels ``points`` (B, N) of that size."""
        if points is None:
            restored: Tensor = self.restorer(degraded, size=size)
            return restored
        height, width = size
        rows, columns = points // width, points % width
        places = torch.stack(((2 * rows + 1) / height - 1, (2 * columns + 1) / width - 1), -1)
        features = self.restorer.encode(degraded)
        values: Tensor = self.restorer.decoder.query(features, places, (2 / height, 2 / width))
        values = values.mT * self.restorer.std.flatten(2)
        if self.restorer.spec.global_skip == "input":
            return values + at_points(resize(degraded, size), points)
        return values + self.restorer.mean.flatten(2)


def at_points(image: Tensor, points: Tensor) -> Tensor:
    """(B, C, H, W) at pixels (B, N), numbered row by row → (B, C, N)."""
    return image.flatten(2).gather(2, points[:, None].expand(-1, image.shape[1], -1))


def train(recipe: Recipe, folder: Path, name: str, *, resume: bool = False, workers: int = 0) -> Restorer | None:
    """Train until the budget is used up.

    Args:
        recipe: what is trained and how.
        folder: of the run, which exists: for its checkpoint, its log, and the decoded pictures.
        name: what the run is called in its log.
        resume: go on from the checkpoint in the folder, if there is one.
        workers: processes that prepare batches; they change nothing but the speed.

    Returns:
        The network with the averaged weights, in eval mode and with its training record, or None when
        a signal stopped the run, which can then be resumed.

    Raises:
        TrainingError: the loss is not finite or explodes, the checkpoint is of another recipe, or the
            folder cannot be written.
        ImageError: there is no picture to train on.
    """
    accelerator = Accelerator(mixed_precision=recipe.precision, gradient_accumulation_steps=recipe.batches)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        restorer = initial(recipe).to(accelerator.device)
    with accelerator.local_main_process_first():
        side = round(recipe.patch * recipe.scale.largest)
        pictures = open_pictures(recipe.data, restorer.channels, side, folder / "pictures.bin")
    optimizer = create_optimizer(recipe.optimizer, restorer)
    average = ModelEmaV3(restorer, decay=recipe.average, use_warmup=True)
    state = RunState(restorer, average.module, optimizer, RunProgress())
    identity = identity_of(recipe, pictures, accelerator.num_processes)
    if resume and (folder / CHECKPOINT).exists():
        load_checkpoint(folder / CHECKPOINT, state, identity)
    progress = state.progress
    schedule = create_schedule(recipe.schedule, recipe.optimizer.lr, optimizer)
    module, optimizer = accelerator.prepare(TrainedModule(restorer), optimizer)
    data = Batches(recipe, pictures, accelerator.process_index)
    _ = data[progress.step * recipe.batches]  # what is wrong with the data is told here, and not by a worker
    loader = DataLoader(
        data,
        batch_size=None,
        sampler=itertools.count(progress.step * recipe.batches),  # type: ignore[arg-type]  # it never ends
        num_workers=workers,
        pin_memory=accelerator.device.type == "cuda",
        worker_init_fn=_leave_signals_alone,
    )

    def save() -> None:
        if accelerator.is_main_process:
            save_checkpoint(folder / CHECKPOINT, state, identity)

    def validate(rate: float) -> None:
        if recipe.validation is not None and accelerator.is_main_process:
            progress.validation = score(average.module, recipe.validation)
            log.validation(progress, rate, sample_picture(recipe, average.module))

    restorer.train()
    log = Log(folder, name, recipe.budget, progress, silent=not accelerator.is_main_process)
    with torch.random.fork_rng(devices=[]), stop_signals() as stopped, log:
        batches, saved, stop = iter(loader), time.monotonic(), False
        before = fraction = fraction_used(recipe.budget, progress)
        while fraction < 1 and not stop:
            started = time.monotonic()
            schedule.step(TICKS * fraction)  # type: ignore[arg-type]  # it need not be an integer
            rate = optimizer.param_groups[0]["lr"]
            torch.manual_seed(recipe.seed * 1_000_003 + progress.step)  # for networks that draw numbers themselves
            step = [next(batches) for _ in range(recipe.batches)]
            loss, squared_error = take_step(recipe, accelerator, module, optimizer, step)
            average.update(restorer, step=progress.step + 1)
            seconds = time.monotonic() - started
            loss, squared_error, seconds, stop = agree(accelerator, loss, squared_error, seconds, stopped.is_set())
            if not math.isfinite(loss) or (progress.step and loss > EXPLODED * progress.loss):
                raise TrainingError(_explosion(progress, loss, rate, step, folder))
            progress.add(seconds, loss, squared_error)
            before, fraction = fraction, fraction_used(recipe.budget, progress)
            log.step(progress, seconds, rate, fraction)
            if recipe.validation and _passed(recipe.validation.every, before, fraction):
                validate(rate)
            if time.monotonic() - saved > SAVE_EVERY or fraction >= 1 or stop:
                save()
                saved = time.monotonic()
    accelerator.wait_for_everyone()
    if fraction < 1:
        return None
    trained: Restorer = average.module
    trained.training_record = record_of(recipe, pictures, progress, accelerator)
    return trained.eval()


def initial(recipe: Recipe) -> Restorer:
    """The network that a run starts with."""
    restorer = Restorer(recipe.model)
    with torch.no_grad():
        for name, factor in recipe.start.items():
            restorer.get_parameter(name).mul_(factor)
    return restorer


def create_optimizer(settings: Optimizer, restorer: nn.Module) -> torch.optim.Optimizer:
    """timm's optimizer of that name."""
    more: dict[str, Any] = {} if settings.betas is None else {"betas": settings.betas}
    return create_optimizer_v2(restorer, settings.name, settings.lr, settings.weight_decay, **more)


def create_schedule(settings: Schedule, rate: float, optimizer: torch.optim.Optimizer) -> Scheduler:
    """timm's schedule over TICKS; a function of the tick alone, so there is nothing to save."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] = rate  # also where a checkpoint had another
    schedule, _ = create_scheduler_v2(
        optimizer,
        "multistep" if settings.name == "constant" else settings.name,
        num_epochs=TICKS,
        decay_milestones=[round(TICKS * fraction) for fraction in settings.milestones],
        decay_rate=settings.decay,
        min_lr=rate * settings.final,
        warmup_lr=rate * settings.final,
        warmup_epochs=round(TICKS * settings.warmup),
    )
    return schedule


def take_step(
    recipe: Recipe, accelerator: Accelerator, module: nn.Module, optimizer: Any, batches: Sequence[Batch]
) -> tuple[float, float]:
    """Update the network once, by all batches; their mean loss and squared error in this process."""
    loss_sum = squared_error_sum = torch.zeros((), device=accelerator.device)
    for batch in batches:
        degraded, clean = batch.degraded.to(accelerator.device), batch.clean.to(accelerator.device)
        points = None if batch.points is None else batch.points.to(accelerator.device)
        with accelerator.accumulate(module):
            restored = module(degraded, (clean.shape[2], clean.shape[3]), points)
            expected = clean if points is None else at_points(clean, points)
            loss = LOSSES[recipe.loss](restored, expected)
            accelerator.backward(loss)
            if recipe.clip is not None and accelerator.sync_gradients:
                accelerator.unscale_gradients()
                clip(recipe.clip, module)
            optimizer.step()
            optimizer.zero_grad()
        loss_sum = loss_sum + loss.detach() / len(batches)
        squared_error_sum = squared_error_sum + F.mse_loss(restored.detach(), expected) / len(batches)
    return loss_sum.item(), squared_error_sum.item()


def clip(settings: Clip, module: nn.Module) -> None:
    """Scale down gradients whose norm is larger: each tensor's on its own, or that of all together."""
    for parameters in module.parameters() if settings.of == "tensor" else [list(module.parameters())]:
        nn.utils.clip_grad_norm_(parameters, settings.norm)


def agree(
    accelerator: Accelerator, loss: float, squared_error: float, seconds: float, stopped: bool
) -> tuple[float, float, float, bool]:
    """The means over all processes, and whether any was told to stop, so that all do the same."""
    if accelerator.num_processes == 1:
        return loss, squared_error, seconds, stopped
    own = torch.tensor([loss, squared_error, seconds, stopped], dtype=torch.float64, device=accelerator.device)
    mean = accelerator.reduce(own, "mean").tolist()
    return mean[0], mean[1], mean[2], mean[3] > 0


def fraction_used(budget: Budget, progress: RunProgress) -> float:
    """How much of the budget is used up; 1 is all."""
    if budget.steps is not None:
        return progress.step / budget.steps
    return progress.seconds / (60 * (budget.minutes or 0.0))


def identity_of(recipe: Recipe, pictures: Pictures, processes: int) -> dict[str, Any]:
    """What decides the weights that a run ends with: resuming needs the same. Pictures may have moved."""
    data = recipe.model_dump(mode="json", exclude={"data": True, "validation": True, "model": {"summary", "paper"}})
    return {**data, "pictures": pictures.digest, "processes": processes}


def record_of(recipe: Recipe, pictures: Pictures, progress: RunProgress, accelerator: Accelerator) -> dict[str, Any]:
    """How a network was trained, for the header of its weights file."""
    from importlib import metadata

    written = recipe.model_dump(mode="json", exclude={"model"}, exclude_none=True)
    written["data"] = [folder.name for folder in recipe.data]  # not where it was on one machine
    if recipe.validation is not None:
        written["validation"]["folder"] = recipe.validation.folder.name
    record = {
        "pictures": f"{len(pictures)} of {', '.join(written['data'])}",
        "digest": pictures.digest,
        "steps": progress.step,
        "minutes": round(progress.seconds / 60, 1),
        "processes": accelerator.num_processes,
        "recipe": written,
        "versions": {
            name: metadata.version(name) for name in ("toolbox-restoration", "torch", "timm", "accelerate", "numpy")
        },
    }
    if recipe.validation is not None and progress.validation is not None:
        record["protocol"] = recipe.validation.protocol
        record["psnr"] = {recipe.validation.folder.name: round(progress.validation, 2)}
    return json.loads(json.dumps(record))


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM set the event that is given, and nothing else; a second Ctrl-C interrupts."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: object) -> None:
        stopped.set()
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    for number in before:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_signals_alone(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; only the one that trains answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _passed(every: float, before: float, after: float) -> bool:
    """Whether a multiple of ``every`` lies in (before, after]."""
    return math.floor(after / every + 1e-9) > math.floor(before / every + 1e-9)


def _explosion(progress: RunProgress, loss: float, rate: float, batches: Sequence[Batch], folder: Path) -> str:
    files = sorted({file for batch in batches for file in batch.files})
    return (
        f"step {progress.step + 1}: the loss is {loss:g} after an average of {progress.loss:g}, at learning rate "
        f"{rate:g}, on {', '.join(files)}; lower optimizer.lr or clip the gradients, and look at these pictures; "
        f"{folder / CHECKPOINT} is from before"
    )
