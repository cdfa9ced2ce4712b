"""``toolbox train``: a recipe in, a trained network out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolbox.cli.options import Catalog, registries_with


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML file; examples/recipes has some.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="What to change of it, such as data=photos optimizer.lr=0.001."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="FOLDER", help="Folder of the run. Default: runs/RECIPE.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of the run.")] = False,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes that prepare data; they change only the speed.")
    ] = 0,
    catalog: Catalog = None,
) -> None:
    """Train a network as a recipe says.

    The run's folder gets a checkpoint, a log and in the end RECIPE.safetensors. Ctrl-C saves and stops.
    """
    from toolbox.errors import TrainingError
    from toolbox.training.loop import CHECKPOINT
    from toolbox.training.loop import train as train_network
    from toolbox.training.recipe import read_recipe
    from toolbox.weights.file import save

    checked = read_recipe(recipe, overrides or [], registries_with(catalog))
    folder = run or Path("runs") / recipe.stem
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{folder}: the run's folder cannot be made: {error.strerror}") from None
    if (folder / CHECKPOINT).exists() and not resume:
        raise TrainingError(f"{folder}: has a run already; go on with --resume, or give another --run")
    trained = train_network(checked, folder, recipe.stem, resume=resume, workers=workers)
    if trained is None:
        typer.echo(f"stopped; `toolbox train {recipe} --resume` with the same settings goes on")
        return
    target = folder / f"{recipe.stem}.safetensors"
    save(trained, target)
    typer.echo(f"wrote {target}")
