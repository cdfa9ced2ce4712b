"""The training loop: steps until the budget is used, with checkpoints so that a run survives anything."""

from __future__ import annotations

import itertools
import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from toolbox.errors import TrainingError
from toolbox.restorer import Restorer
from toolbox.training.checkpoint import RunProgress, save_checkpoint
from toolbox.training.data import Batch
from toolbox.training.log import Log
from toolbox.training.optimization import TICKS, create_schedule, rate_of
from toolbox.training.recipe import Recipe
from toolbox.training.record import training_record
from toolbox.training.run import Run, build_run
from toolbox.training.settings import Budget
from toolbox.training.step import agree, take_step
from toolbox.training.trackers import tracking
from toolbox.training.validation import leading_metric, mean_score, sample_picture
from toolbox.weights.file import save
from toolbox.weights.fold import folded

CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"  # the weights with the best score, next to the last ones
SAVE_EVERY = 120.0  # seconds; does not change the final weights
EXPLODED = 1000.0  # times the running average of the loss


@dataclass(frozen=True)
class Trained:
    """The end of a run: the network with averaged weights, folded for use and in eval mode, and its training record."""

    restorer: Restorer
    run: Run


def train(recipe: Recipe, folder: Path, name: str, *, resume: bool = False, workers: int = 0) -> Trained | None:
    """Train until the budget is used.

    Args:
        recipe: the recipe.
        folder: the existing folder of the run, for its checkpoint, its log and the decoded pictures.
        name: name of the run in its log.
        resume: go on from the checkpoint in the folder, if there is one.
        workers: processes that prepare batches; they only change the speed.

    Returns:
        The trained network, or None if a signal stopped the run, which you can then resume.

    Raises:
        TrainingError: the loss is not finite or explodes, the checkpoint is of another recipe, or the
            folder cannot be written.
        ImageError: a needed picture cannot be read.
    """
    try:
        checkpoint = folder / CHECKPOINT
        run = build_run(recipe, folder, checkpoint if resume and checkpoint.exists() else None)
        _train(run, name, workers)
    except OSError as error:
        raise TrainingError(
            f"{folder}: {error}; the last checkpoint is intact: fix this and continue with --resume"
        ) from None
    run.accelerator.wait_for_everyone()
    if fraction_used(recipe.budget, run.state.progress) < 1:
        return None
    return Trained(folded(run.average.module.eval()), run)


def _train(run: Run, name: str, workers: int) -> None:
    recipe, accelerator, progress = run.recipe, run.accelerator, run.state.progress
    first = progress.step * recipe.batches
    loader = DataLoader(
        run.batches,
        batch_size=None,
        sampler=itertools.count(first),  # the data never end
        num_workers=workers,
        pin_memory=accelerator.device.type == "cuda",
        worker_init_fn=_leave_signals_alone,
    )
    schedule = create_schedule(recipe.schedule, recipe.optimizer.lr, run.state.optimizer)
    config = recipe.plain(exclude_none=True)
    with (
        torch.random.fork_rng(devices=[]),
        stop_signals() as stopped,
        tracking(accelerator, recipe.trackers, name, run.folder, config, progress.step) as trackers,
        Log(run.folder, name, recipe.budget, progress, trackers, silent=not accelerator.is_main_process) as log,
    ):
        batches, saved, stop = iter(loader), time.monotonic(), False
        fraction = fraction_used(recipe.budget, progress)
        while fraction < 1 and not stop:
            started = time.monotonic()
            schedule.step(TICKS * fraction_scheduled(recipe.budget, progress))  # type: ignore[arg-type]  # no integer
            rate = rate_of(run.state.optimizer)
            torch.manual_seed(recipe.seed * 1_000_003 + progress.step)  # for networks that draw numbers
            step = [next(batches) for _ in range(recipe.batches)]
            loss, squared_error = take_step(recipe, accelerator, run.module, run.optimizer, step)
            run.average.update(run.restorer, step=progress.step + 1)
            seconds = time.monotonic() - started
            loss, squared_error, seconds, stop = agree(accelerator, loss, squared_error, seconds, stopped.is_set())
            if not math.isfinite(loss) or (progress.step and abs(loss) > EXPLODED * progress.magnitude):
                raise TrainingError(_explosion(run, loss, rate, step))
            progress.add(seconds, loss, squared_error)
            before, fraction = fraction, fraction_used(recipe.budget, progress)
            log.step(progress, seconds, rate, fraction)
            if not accelerator.is_main_process:
                continue
            if recipe.validation and (fraction >= 1 or passed(recipe.validation.every, before, fraction)):
                _validate(run)
                log.validation(progress, rate, sample_picture(recipe, run.average.module, run.sample))
            if time.monotonic() - saved > SAVE_EVERY or fraction >= 1 or stop:
                if not all(parameter.isfinite().all() for parameter in run.restorer.parameters()):
                    raise TrainingError(_explosion(run, math.nan, rate, step))
                save_checkpoint(run.folder / CHECKPOINT, run.state, run.identity)
                saved = time.monotonic()
        if fraction >= 1 and recipe.validation and progress.validation is None and accelerator.is_main_process:
            _validate(run)  # requested after the end


def _validate(run: Run) -> None:
    """Score the averaged weights, and write them if no earlier score was better."""
    progress, validation = run.state.progress, run.recipe.validation
    if validation is None:
        return
    progress.validation, progress.scales = mean_score(run.average.module, validation)
    sign = 1 if leading_metric(validation).higher_is_better else -1
    if progress.best is None or sign * progress.validation > sign * progress.best:
        progress.best, progress.best_step = progress.validation, progress.step
        network = folded(run.average.module)
        network.training_record = training_record(run)
        save(network, run.folder / BEST)


def fraction_used(budget: Budget, progress: RunProgress) -> float:
    """The used fraction of the budget; 1 is all of it."""
    return budget.used(progress.step, progress.seconds) / budget.total


def fraction_scheduled(budget: Budget, progress: RunProgress) -> float:
    """The used fraction of the schedule, which may begin anew when a finished run is extended."""
    used = budget.used(progress.step, progress.seconds)
    return (used - progress.origin) / (budget.total - progress.origin)


def passed(every: float, before: float, after: float) -> bool:
    """Whether a multiple of ``every`` lies in (before, after]."""
    return math.floor(after / every + 1e-9) > math.floor(before / every + 1e-9)


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Make Ctrl-C and SIGTERM only set the event; a second Ctrl-C interrupts."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # here Python allows no handlers
        yield stopped
        return

    def stop(number: int, frame: object) -> None:
        stopped.set()
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_signals_alone(worker: int) -> None:
    """Ignore Ctrl-C, which reaches every process of a terminal; only the training process handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _explosion(run: Run, loss: float, rate: float, batches: Sequence[Batch]) -> str:
    files = sorted({file for batch in batches for file in batch.files})
    progress = run.state.progress
    return (
        f"step {progress.step + 1}: got a loss of {loss:g}, expected about {progress.loss:g} as before, at learning "
        f"rate {rate:g} and on {', '.join(files)}; lower optimizer.lr, clip the gradients, or look at these pictures"
    )
