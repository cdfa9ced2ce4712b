"""Small runs: pictures, recipes and networks that train in a second."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from toolbox.config import validated
from toolbox.discovery import installed
from toolbox.resolve import merged
from toolbox.training import loop
from toolbox.training.pictures import OpenDatasets, Pictures, open_pictures
from toolbox.training.recipe import Recipe
from toolbox.training.step import take_step

NLRN: Mapping[str, Any] = {
    "channels": 1,
    "global_skip": "bicubic",
    "encoder": {
        "name": "recurrent",
        "steps": 2,
        "transition": {
            "name": "nonlocal-residual",
            "channels": 3,
            "nonlocal": {
                "name": "soft-block-matching",
                "embedding_channels": 2,
                "neighborhood": {"kind": "window", "size": 3},
            },
        },
    },
    "decoder": "residual-conv",
}
IMPLICIT: Mapping[str, Any] = {
    "channels": 3,
    "normalization": {"mean": [0.4, 0.5, 0.6], "std": 0.5},
    "encoder": {"name": "edsr", "channels": 4, "blocks": 1},
    "decoder": {"name": "dual-interactive", "hidden": [5, 4]},
}


def write_pictures(folder: Path, count: int = 3, side: int = 24) -> Path:
    """Smooth random color pictures, of different sizes and each of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        random = np.random.default_rng(number)
        small = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        small.resize((side + 3 * number, side + number), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def recipe_data(data: Any, **changes: Any) -> dict[str, Any]:
    """A recipe that denoises; changes are merged into it."""
    recipe = {
        "model": dict(NLRN),
        "data": str(data) if isinstance(data, Path) else data,
        "degradation": {"name": "gaussian-noise", "sigma": 25},
        "patch": 8,
        "batch": 2,
        "loss": "mse",
        "budget": {"steps": 12},
    }
    return dict(merged(recipe, changes))


def recipe_of(data: Any, **changes: Any) -> Recipe:
    return validated(Recipe, recipe_data(data, **changes), installed())


def implicit_recipe(data: Any, **changes: Any) -> Recipe:
    """A recipe that enlarges by ×2 and ×3 at once."""
    enlarges = {"model": dict(IMPLICIT), "degradation": ["bicubic"], "scale": {"each": [2, 3]}, "patch": 6}
    return recipe_of(data, **{**enlarges, **changes})


def pictures_of(recipe: Recipe, folder: Path) -> Pictures:
    folder.mkdir(exist_ok=True)
    datasets = OpenDatasets(recipe.data, recipe.model.channels)
    return open_pictures(datasets, recipe.patch, recipe.scale.largest, folder / "pictures.bin")


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Bit for bit."""
    return first.keys() == second.keys() and all(bool((first[key] == second[key]).all()) for key in first)


class Cut(Exception):
    """What ends a run in a test."""


@contextmanager
def cut_before(step: int) -> Iterator[None]:
    """A run in this block ends by an exception when that many steps were taken, which is expected."""
    take, taken = take_step, itertools.count()

    def cut(*arguments: Any) -> Any:
        if next(taken) == step:
            raise Cut
        return take(*arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Cut):  # noqa: PT012  # the block is the caller's
        patch.setattr(loop, "take_step", cut)
        yield
