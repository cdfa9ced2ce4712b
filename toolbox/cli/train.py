"""``toolbox train``: a recipe in, a trained network out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolbox.cli.options import Catalog, Json, registries_with

if TYPE_CHECKING:
    from toolbox.training.recipe import Recipe


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML file; see examples/recipes.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, such as data=photos optimizer.lr=0.001."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="FOLDER", help="Folder of the run. Default: runs/RECIPE.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the run's checkpoint, if there is one.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, and print what the run would take.")
    ] = False,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes that prepare data; they change only the speed.")
    ] = 0,
    catalog: Catalog = None,
    as_json: Json = False,
) -> None:
    """Train a network from a recipe.

    The run's folder gets a checkpoint, log.csv, and finally RECIPE.safetensors with a model card. Ctrl-C saves and
    stops the run. `accelerate launch -m toolbox train ...` trains on several devices.
    """
    from accelerate import PartialState

    from toolbox.training.card import finish
    from toolbox.training.estimate import estimate
    from toolbox.training.loop import CHECKPOINT
    from toolbox.training.loop import train as train_network
    from toolbox.training.recipe import read_recipe

    checked = read_recipe(recipe, overrides or [], registries_with(catalog))
    folder = run or Path("runs") / recipe.stem
    if dry_run:
        with _process_group_ends():
            facts = estimate(checked)
        typer.echo(json.dumps(facts) if as_json else _told(facts, checked))
        return
    _prepare(folder, has_checkpoint=(folder / CHECKPOINT).exists(), resume=resume)
    with _process_group_ends():
        trained = train_network(checked, folder, recipe.stem, resume=resume, workers=workers)
    if not PartialState().is_main_process:
        return
    if trained is None:
        typer.echo(f"stopped; repeat the command with --resume to continue from {folder / CHECKPOINT}", err=as_json)
        return
    written = finish(trained, recipe.stem)
    if as_json:
        typer.echo(json.dumps({"written": [str(path) for path in written], **trained.restorer.training_record}))
        return
    typer.echo(f"wrote {', '.join(map(str, written))}")


@contextmanager
def _process_group_ends() -> Iterator[None]:
    """End the process group before the interpreter ends, when several processes train together.

    A thread that still talks to the others and finds no interpreter aborts its process, and with it the whole run.
    """
    import torch.distributed

    try:
        yield
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _prepare(folder: Path, has_checkpoint: bool, resume: bool) -> None:
    """Make the folder of the run. Refuse a folder that cannot be written or already has a run."""
    import tempfile

    from toolbox.errors import TrainingError

    if has_checkpoint and not resume:
        raise TrainingError(f"{folder} already has a run; continue it with --resume, or choose another --run")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be written: {error.strerror}; choose another --run") from None


def _told(facts: dict[str, Any], recipe: Recipe) -> str:
    """The facts of a dry run for people."""
    from toolbox.training.log import duration

    radius = facts["receptive_field"]
    left_out = f", {facts['left_out']} left out" if facts["left_out"] else ""
    lines = {
        "model": facts["model"],
        "parameters": f"{facts['parameters']:,}",
        "receptive field": "the whole image" if radius is None else f"{radius} px",
        "pictures": f"{facts['pictures']:,}{left_out}, {facts['megapixels']:g} megapixels, "
        f"{_size(facts['disk'])} on the disk",
        "batch": f"{recipe.batch} patches of {recipe.patch} px, {recipe.batches} to a step, "
        f"{facts['processes']} x {facts['device']}",
        "memory": f"about {_size(facts['memory'])} in each process, beside PyTorch itself",
        "time": f"{facts['seconds_per_step']:.3g} s a step: {facts['steps']:,} steps in "
        f"{duration(60 * facts['minutes'])}",
    }
    return "\n".join(f"{key:>16}  {value}" for key, value in lines.items())


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
