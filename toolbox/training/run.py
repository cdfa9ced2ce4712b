"""The parts of a run, made from its recipe. Faults are refused before any picture is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration
from timm.utils.model_ema import ModelEmaV3
from torch import nn

from toolbox.files import remove_partials
from toolbox.images.files.picture import read_pixels
from toolbox.learning import Example
from toolbox.restorer import Restorer
from toolbox.training.checkpoint import RunProgress, RunState, check_checkpoint, load_checkpoint
from toolbox.training.data import Batches
from toolbox.training.losses import WeightedLosses
from toolbox.training.optimization import create_optimizer
from toolbox.training.pictures import OpenDatasets, Pair, Pictures, open_pictures, prepared
from toolbox.training.recipe import Recipe, is_part
from toolbox.training.step import TrainedModule
from toolbox.training.trackers import chosen
from toolbox.training.validation import check_validation
from toolbox.weights.file import load


@dataclass
class Run:
    """The parts of a run before training."""

    recipe: Recipe
    folder: Path
    identity: dict[str, Any]  # the facts that decide the final weights
    digest: str  # digest of its data
    accelerator: Accelerator
    pictures: Pictures
    batches: Batches
    restorer: Restorer
    average: ModelEmaV3
    module: nn.Module  # the restorer and the losses, distributed by the accelerator
    optimizer: Any  # the optimizer, distributed by the accelerator
    state: RunState
    sample: Pair  # the picture to look at


def build_run(recipe: Recipe, folder: Path, checkpoint: Path | None = None) -> Run:
    """Make everything that a run needs, and try early what could fail later.

    Args:
        recipe: the recipe.
        folder: the existing folder of the run, for the decoded pictures.
        checkpoint: the checkpoint of a run that this one continues.

    Raises:
        ImageError: there is no picture to train or to validate on, or one to validate on is damaged.
        TrainingError: the degradations do not fit the recipe's scales, or the checkpoint is of another recipe.
        WeightsError: the checkpoint cannot be read.
        OSError: the folder cannot be written.
    """
    accelerator = Accelerator(
        cpu=not torch.accelerator.is_available(),  # or else several CPU processes would each train alone
        mixed_precision=recipe.precision,
        gradient_accumulation_steps=recipe.batches,
        log_with=chosen(recipe.trackers) or None,
        project_config=ProjectConfiguration(str(folder), str(folder / "tensorboard")),
    )
    examples = OpenDatasets(recipe.data, recipe.model.channels)
    identity = _identity(recipe, examples.digest, accelerator.num_processes)
    progress = RunProgress()
    if checkpoint is not None:
        progress = check_checkpoint(checkpoint, identity, recipe.schedule.extended)
    scored = check_validation(recipe.validation) if recipe.validation else []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        restorer = initial(recipe).to(accelerator.device)
        losses = WeightedLosses(recipe.loss, restorer).to(accelerator.device)
    optimizer = create_optimizer(recipe.optimizer, restorer, losses)
    average = ModelEmaV3(restorer, decay=recipe.average, use_warmup=True)
    state = RunState(restorer, average.module, losses, optimizer, progress)
    with accelerator.local_main_process_first():
        if accelerator.is_local_main_process:
            remove_partials(folder)
        pictures = open_pictures(examples, recipe.patch, recipe.scale.largest, folder / "pictures.bin")
    batches = Batches(recipe, pictures, accelerator.process_index)
    batches.check()
    if checkpoint is not None:
        load_checkpoint(checkpoint, state)
    trained = TrainedModule(trainable(restorer, recipe), losses, recipe.state_weight)
    module, prepared_optimizer = accelerator.prepare(trained, optimizer)
    sample = pictures[0]
    if scored and recipe.degradation:
        sample = prepared(Example(read_pixels(scored[0])), restorer.channels, str(scored[0]))
    return Run(
        recipe,
        folder,
        identity,
        examples.digest,
        accelerator,
        pictures,
        batches,
        restorer,
        average,
        module,
        prepared_optimizer,
        state,
        sample,
    )


def initial(recipe: Recipe) -> Restorer:
    """The initial network of a run; frozen parts need no gradient."""
    restorer = Restorer(recipe.model)
    if recipe.weights is not None:
        trained, part = load(str(recipe.weights.file)), recipe.weights.only or ""
        restorer.get_submodule(part).load_state_dict(trained.get_submodule(part).state_dict())
    with torch.no_grad():
        for name, factor in recipe.start.items():
            restorer.get_parameter(name).mul_(factor)
    for name, parameter in restorer.named_parameters():
        parameter.requires_grad_(not is_part(name, recipe.freeze))
    return restorer


def trainable(restorer: Restorer, recipe: Recipe) -> Restorer:
    """Put the network into training mode, except for frozen parts, whose statistics stay too."""
    restorer.train()
    for name, module in restorer.named_modules():
        if name and is_part(name, recipe.freeze):
            module.eval()
    return restorer


def _identity(recipe: Recipe, digest: str, processes: int) -> dict[str, Any]:
    """The facts that decide the final weights, and that a resumed run must share. Pictures may have moved."""
    passing = {"data": True, "validation": True, "trackers": True}
    decisive = recipe.plain(exclude=passing | {"model": {"summary", "paper"}, "schedule": {"extended"}})
    return {**decisive, "pictures": digest, "processes": processes}
