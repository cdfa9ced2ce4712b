"""Trackers that draw a run's log: TensorBoard, Weights & Biases and Trackio, through accelerate."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from PIL import Image

from toolbox.close_names import did_you_mean
from toolbox.config import located
from toolbox.errors import TrainingError

TRACKERS = ("tensorboard", "trackio", "wandb")  # the names in accelerate, of the packages, and of our extras for pip
TENSORBOARD = "tensorboard"
NO_TENSORBOARD = (
    "TensorBoard is not installed, so only log.csv is written; `pip install 'toolbox-restoration[tensorboard]'` adds it"
)


def check_tracker(name: str) -> str:
    """Return the name if accelerate can use this tracker. For pydantic's validators."""
    if name not in TRACKERS:
        remedy = did_you_mean(name, TRACKERS) or "choose another"
        raise located((), f"got {name!r}, expected one of {', '.join(TRACKERS)}; {remedy}", name)
    if not is_installed(name):
        remedy = f"pip install 'toolbox-restoration[{name}]'"
        raise located((), f"tracker {name!r} needs a package that is not installed; {remedy}", name)
    return name


def is_installed(name: str) -> bool:
    """Whether accelerate finds the tracker's package."""
    return name in map(str, get_available_trackers())


def chosen(names: Sequence[str] | None) -> list[str]:
    """The trackers of a recipe; by default TensorBoard if it is installed."""
    return list(names) if names is not None else [TENSORBOARD] * is_installed(TENSORBOARD)


@contextmanager
def tracking(
    accelerator: Accelerator,
    names: Sequence[str] | None,
    project: str,
    folder: Path,
    config: Mapping[str, Any],
    step: int,
) -> Iterator[list[Any]]:
    """Start the accelerator's trackers, and finish them in the end.

    Args:
        accelerator: made with ``log_with=chosen(names)``; only its main process has trackers.
        names: the recipe's trackers.
        project: the common name of the runs of one recipe.
        folder: the folder of the run, which names the run; Weights & Biases writes into it.
        config: the recipe as JSON data.
        step: the first step of the run; TensorBoard drops later ones, from before an interruption.

    Raises:
        TrainingError: a tracker cannot start.
    """
    settings = {
        "tensorboard": {"purge_step": step or None},
        "trackio": {"name": folder.name, "config": dict(config), "resume": "allow" if step else "never"},
        "wandb": {"name": folder.name, "config": dict(config), "dir": str(folder)},
    }
    if names is None and not accelerator.log_with and accelerator.is_main_process:
        print(NO_TENSORBOARD, file=sys.stderr)  # noqa: T201  # a run talks
    try:
        with redirect_stdout(sys.stderr):  # some of them print a greeting
            accelerator.init_trackers(project, init_kwargs=settings)
    except Exception as error:  # without a network or an account, each raises errors of its own
        started = ", ".join(map(str, accelerator.log_with))
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise TrainingError(f"{started}: a tracker cannot start: {reason}; repair that, or change `trackers`") from None
    try:
        yield accelerator.trackers
    finally:
        with redirect_stdout(sys.stderr):
            for tracker in accelerator.trackers:
                tracker.finish()


def log_picture(tracker: Any, name: str, picture: Image.Image, step: int) -> None:
    """Log a picture, if the tracker can show one."""
    if hasattr(tracker, "log_images"):
        more = {"dataformats": "NHWC"} if tracker.name == TENSORBOARD else {}
        tracker.log_images({name: np.asarray(picture)[None]}, step, **more)
