"""The training loop: steps until the budget is used up, checkpoints by which a run survives anything."""

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
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration
from timm.utils.model_ema import ModelEmaV3
from torch import nn
from torch.utils.data import DataLoader

from toolbox.errors import TrainingError
from toolbox.files import remove_partials
from toolbox.restorer import Restorer
from toolbox.training.checkpoint import RunProgress, RunState, load_checkpoint, save_checkpoint
from toolbox.training.data import Batch, Batches, Pictures, open_pictures
from toolbox.training.log import Log
from toolbox.training.optimization import TICKS, create_optimizer, create_schedule
from toolbox.training.recipe import Budget, Recipe
from toolbox.training.step import TrainedModule, agree, take_step
from toolbox.training.trackers import chosen, tracking
from toolbox.training.validation import check_validation, mean_score, sample_picture
from toolbox.weights.file import load

CHECKPOINT = "checkpoint.safetensors"
SAVE_EVERY = 120.0  # seconds; it does not change the weights that a run ends with
EXPLODED = 1000.0  # times the running average of the loss


@dataclass
class Run:
    """The parts of a run, made from its recipe, before anything is trained."""

    recipe: Recipe
    folder: Path
    accelerator: Accelerator
    pictures: Pictures
    batches: Batches
    restorer: Restorer
    average: ModelEmaV3
    module: nn.Module  # the restorer, as the accelerator distributes it
    optimizer: Any  # the same of the optimizer
    state: RunState
    sample: Path  # the picture to look at

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the weights that a run ends with: resuming needs the same. Pictures may have moved."""
        decisive = self.recipe.model_dump(
            mode="json", exclude={"data": True, "validation": True, "trackers": True, "model": {"summary", "paper"}}
        )
        return {**decisive, "pictures": self.pictures.digest, "processes": self.accelerator.num_processes}


@dataclass(frozen=True)
class Trained:
    """The end of a run: the network with the averaged weights, in eval mode, and how it came to be."""

    restorer: Restorer
    run: Run


def build_run(recipe: Recipe, folder: Path) -> Run:
    """Make all that a run needs, and try out what could fail later.

    Args:
        recipe: what is trained and how.
        folder: of the run, which exists; gets the decoded pictures.

    Raises:
        ImageError: there is no picture to train or to validate on, or one to validate on is damaged.
        TrainingError: the degradations do not fit the recipe's scales.
        OSError: the folder cannot be written.
    """
    accelerator = Accelerator(
        cpu=not torch.accelerator.is_available(),  # else several CPU processes would each train for themselves
        mixed_precision=recipe.precision,
        gradient_accumulation_steps=recipe.batches,
        log_with=chosen(recipe.trackers) or None,
        project_config=ProjectConfiguration(str(folder), str(folder / "tensorboard")),
    )
    scored = check_validation(recipe.validation) if recipe.validation else []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        restorer = initial(recipe).to(accelerator.device)
    with accelerator.local_main_process_first():
        if accelerator.is_local_main_process:
            remove_partials(folder)
        side = round(recipe.patch * recipe.scale.largest)
        pictures = open_pictures(recipe.data, restorer.channels, side, folder / "pictures.bin")
    batches = Batches(recipe, pictures, accelerator.process_index)
    batches.check()
    optimizer = create_optimizer(recipe.optimizer, restorer)
    average = ModelEmaV3(restorer, decay=recipe.average, use_warmup=True)
    state = RunState(restorer, average.module, optimizer, RunProgress())
    module, prepared = accelerator.prepare(TrainedModule(restorer.train()), optimizer)
    sample = Path(scored[0] if scored else pictures.names[0])
    return Run(recipe, folder, accelerator, pictures, batches, restorer, average, module, prepared, state, sample)


def train(recipe: Recipe, folder: Path, name: str, *, resume: bool = False, workers: int = 0) -> Trained | None:
    """Train until the budget is used up.

    Args:
        recipe: what is trained and how.
        folder: of the run, which exists: for its checkpoint, its log, and the decoded pictures.
        name: what the run is called in its log.
        resume: go on from the checkpoint in the folder, if there is one.
        workers: processes that prepare batches; they change nothing but the speed.

    Returns:
        The trained network, or None when a signal stopped the run, which can then be resumed.

    Raises:
        TrainingError: the loss is not finite or explodes, the checkpoint is of another recipe, or the
            folder cannot be written.
        ImageError: a picture that is needed cannot be read.
    """
    try:
        run = build_run(recipe, folder)
        if resume and (folder / CHECKPOINT).exists():
            load_checkpoint(folder / CHECKPOINT, run.state, run.identity)
        _train(run, name, workers)
    except OSError as error:
        raise TrainingError(
            f"{folder}: {error}; the last checkpoint is untouched: mend that and go on with --resume"
        ) from None
    run.accelerator.wait_for_everyone()
    if fraction_used(recipe.budget, run.state.progress) < 1:
        return None
    return Trained(run.average.module.eval(), run)


def _train(run: Run, name: str, workers: int) -> None:
    recipe, accelerator, progress = run.recipe, run.accelerator, run.state.progress
    first = progress.step * recipe.batches
    loader = DataLoader(
        run.batches,
        batch_size=None,
        sampler=itertools.count(first),  # it never ends
        num_workers=workers,
        pin_memory=accelerator.device.type == "cuda",
        worker_init_fn=_leave_signals_alone,
    )
    schedule = create_schedule(recipe.schedule, recipe.optimizer.lr, run.state.optimizer)
    config = recipe.model_dump(mode="json", exclude_none=True)
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
            schedule.step(TICKS * fraction)  # type: ignore[arg-type]  # it need not be an integer
            rate = run.optimizer.param_groups[0]["lr"]
            torch.manual_seed(recipe.seed * 1_000_003 + progress.step)  # for networks that draw numbers themselves
            step = [next(batches) for _ in range(recipe.batches)]
            loss, squared_error = take_step(recipe, accelerator, run.module, run.optimizer, step)
            run.average.update(run.restorer, step=progress.step + 1)
            seconds = time.monotonic() - started
            loss, squared_error, seconds, stop = agree(accelerator, loss, squared_error, seconds, stopped.is_set())
            if not math.isfinite(loss) or (progress.step and loss > EXPLODED * progress.loss):
                raise TrainingError(_explosion(run, loss, rate, step))
            progress.add(seconds, loss, squared_error)
            before, fraction = fraction, fraction_used(recipe.budget, progress)
            log.step(progress, seconds, rate, fraction)
            if not accelerator.is_main_process:
                continue
            if recipe.validation and (fraction >= 1 or passed(recipe.validation.every, before, fraction)):
                progress.validation = mean_score(run.average.module, recipe.validation)
                log.validation(progress, rate, sample_picture(recipe, run.average.module, run.sample))
            if time.monotonic() - saved > SAVE_EVERY or fraction >= 1 or stop:
                if not all(parameter.isfinite().all() for parameter in run.restorer.parameters()):
                    raise TrainingError(_explosion(run, math.nan, rate, step))
                save_checkpoint(run.folder / CHECKPOINT, run.state, run.identity)
                saved = time.monotonic()
        if fraction >= 1 and recipe.validation and progress.validation is None and accelerator.is_main_process:
            progress.validation = mean_score(run.average.module, recipe.validation)  # asked for after the end


def initial(recipe: Recipe) -> Restorer:
    """The network that a run starts with."""
    restorer = Restorer(recipe.model)
    if recipe.weights is not None:
        restorer.load_state_dict(load(recipe.weights).state_dict())
    with torch.no_grad():
        for name, factor in recipe.start.items():
            restorer.get_parameter(name).mul_(factor)
    return restorer


def fraction_used(budget: Budget, progress: RunProgress) -> float:
    """How much of the budget is used up; 1 is all."""
    if budget.steps is not None:
        return progress.step / budget.steps
    return progress.seconds / (60 * (budget.minutes or 0.0))


def passed(every: float, before: float, after: float) -> bool:
    """Whether a multiple of ``every`` lies in (before, after]."""
    return math.floor(after / every + 1e-9) > math.floor(before / every + 1e-9)


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM set the event that is given, and nothing else; a second Ctrl-C interrupts."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # where Python allows no handlers
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
    """Ctrl-C reaches every process of a terminal; only the one that trains answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _explosion(run: Run, loss: float, rate: float, batches: Sequence[Batch]) -> str:
    files = sorted({file for batch in batches for file in batch.files})
    progress = run.state.progress
    return (
        f"step {progress.step + 1}: got a loss of {loss:g}, expected about {progress.loss:g} as before, at learning "
        f"rate {rate:g} and on {', '.join(files)}; lower optimizer.lr, clip the gradients, or look at these pictures"
    )
