"""Batches of patches, cut out of pictures and degraded. They depend only on the seed and the number of the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from toolbox.choice import Choice
from toolbox.degradations.drawing import drawn
from toolbox.degradations.spec import degraded_by
from toolbox.errors import TrainingError
from toolbox.images.arrays import white_of
from toolbox.pixels import Array
from toolbox.training.pictures import Pair, Pictures, covered, step_of
from toolbox.training.recipe import Recipe

TRIES = 100  # most pictures to draw until one is large enough, if that is not known before
Conditions = Mapping[str, float | Tensor]


class Batch(NamedTuple):
    """Degraded and clean patches."""

    degraded: Tensor  # (B, C, patch, patch) in [0, 1]
    clean: Tensor  # (B, C, side, side) with side = patch · scale
    points: Tensor | None  # (B, N): the computed pixels of the clean patch, numbered row by row
    files: list[str]
    conditions: dict[str, Tensor]  # conditions of the network: (B,), or maps (B, 1, patch, patch)


class TrainingSample(NamedTuple):
    """One patch of a batch."""

    degraded: Tensor
    clean: Tensor
    points: Tensor
    name: str
    conditions: Conditions


class Batches(Dataset[Batch]):
    """Batch number n of a run, for one of its processes.

    Sample i of the batch depends only on the seed, n and i, where i counts through all processes. So the
    data are the same with any number of workers, and two processes see the data of one with a doubled batch.
    """

    def __init__(self, recipe: Recipe, pictures: Pictures, process: int = 0) -> None:
        self.recipe, self.pictures, self.process = recipe, pictures, process

    def __getitem__(self, number: int) -> Batch:
        recipe = self.recipe
        scale = self.scale(number)
        first = self.process * recipe.batch
        samples = [self._sample(scale, generator_of(recipe.seed, number, first + i)) for i in range(recipe.batch)]
        return Batch(
            torch.stack([sample.degraded for sample in samples]),
            torch.stack([sample.clean for sample in samples]),
            torch.stack([sample.points for sample in samples]) if recipe.points else None,
            [sample.name for sample in samples],
            {
                name: stacked([sample.conditions[name] for sample in samples], recipe.patch)
                for name in recipe.model.conditions
            },
        )

    def check(self) -> None:
        """Make one sample of each scale, to find faults before a run starts."""
        for scale in self.recipe.scale.each or (self.recipe.scale.largest,):
            self._sample(scale, generator_of(self.recipe.seed))

    def scale(self, number: int) -> float:
        """The scale of batch ``number``, the same for all processes."""
        if self.recipe.scale.each is not None:
            return self.recipe.scale.each[number % len(self.recipe.scale.each)]
        return drawn(self.recipe.scale.between or (), generator_of(self.recipe.seed, number))

    def _sample(self, scale: float, generator: torch.Generator) -> TrainingSample:
        recipe = self.recipe
        patch = cut(self._draw_pair(scale, generator), recipe.patch, scale, generator)
        turns, flips = _draw(4, generator), _draw(2, generator)

        def turned(values: Tensor) -> Tensor:
            rotated = torch.rot90(values, turns, (1, 2))
            return rotated.flip(2) if flips else rotated

        clean = turned(patch.clean)
        if patch.degraded is None:
            degraded, conditions = degrade(recipe.degradation, clean, scale, generator)
        else:
            degraded, conditions = turned(patch.degraded), {}
        own = {key: turned(value) if isinstance(value, Tensor) else value for key, value in patch.conditions.items()}
        conditions = {**own, **conditions}
        if missing := [name for name in recipe.model.conditions if name not in conditions]:
            raise TrainingError(
                f"the network wants to know {', '.join(missing)}, but what is done to pictures tells "
                f"{', '.join(conditions) or 'nothing'}; choose a degradation or a dataset that tells it"
            )
        side = clean.shape[1]
        points = torch.randperm(side**2, generator=generator)[: recipe.points] if recipe.points else clean
        return TrainingSample(degraded, clean, points, patch.name, conditions)

    def _draw_pair(self, scale: float, generator: torch.Generator) -> Pair:
        candidates = self.pictures.candidates(scale)
        refusal = ""
        for _ in range(TRIES):
            pair = self.pictures[candidates[_draw(len(candidates), generator)]]
            if not (refusal := pair.refusal(self.recipe.patch, scale)):
                return pair
        raise TrainingError(
            f"no picture of {TRIES} that were drawn can be used at scale {scale:g}; the last: {refusal}"
        )


class Patch(NamedTuple):
    """A square of a picture and of its partner."""

    clean: Tensor  # (C, side, side)
    degraded: Tensor | None  # (C, patch, patch)
    conditions: Conditions  # maps are (1, patch, patch)
    name: str


def cut(pair: Pair, patch: int, scale: float, generator: torch.Generator) -> Patch:
    """Cut a square out of a picture that is large enough.

    Raises:
        TrainingError: the picture is a pair, and ``patch`` of its pixels are no whole number of clean ones.
    """
    if pair.degraded is None:
        side, (height, width) = round(patch * scale), pair.clean.shape[:2]
        top, left = _draw(height - side + 1, generator), _draw(width - side + 1, generator)
        return Patch(_square(pair.clean, top, left, side), None, _parts(pair, top, left, side), pair.name)
    side, (height, width), step = round(patch * scale), covered(pair), step_of(scale)
    if abs(side - patch * scale) > 1e-6:
        raise TrainingError(f"got a patch of {patch} pixels for pairs of scale {scale:g}, expected one of whole pixels")
    top, left = (step * _draw((length - patch) // step + 1, generator) for length in (height, width))
    clean = _square(pair.clean, round(top * scale), round(left * scale), side)
    return Patch(clean, _square(pair.degraded, top, left, patch), _parts(pair, top, left, patch), pair.name)


def _square(array: Array, top: int, left: int, side: int) -> Tensor:
    """(H, W, C) → a square (C, side, side) in [0, 1]."""
    square = torch.from_numpy(np.array(array[top : top + side, left : left + side])).permute(2, 0, 1)
    return square.float() / white_of(array)


def _parts(pair: Pair, top: int, left: int, side: int) -> Conditions:
    """The conditions of a square of the degraded picture, or of a clean one that is not reduced."""
    return {
        name: torch.from_numpy(value[None, top : top + side, left : left + side].copy())
        if isinstance(value, np.ndarray)
        else value
        for name, value in pair.conditions.items()
    }


def stacked(values: Sequence[float | Tensor], patch: int) -> Tensor:
    """A condition of all samples: (B,), or (B, 1, patch, patch) if any is a map."""
    if not any(isinstance(value, Tensor) for value in values):
        return torch.tensor(values, dtype=torch.float32)
    maps = [value if isinstance(value, Tensor) else torch.full((1, patch, patch), value) for value in values]
    return torch.stack(maps)


def degrade(
    chain: Sequence[Choice], clean: Tensor, scale: float, generator: torch.Generator
) -> tuple[Tensor, Conditions]:
    """Degrade a clean picture (C, H, W) in [0, 1] by each in turn, smaller by the scale, with its conditions.

    Raises:
        TrainingError: the result has another size.
        PluginError: a degradation fails, or returns no picture.
    """
    degraded, supplied = degraded_by(chain, clean, scale, generator)
    conditions = {
        name: value.reshape(1, *value.shape[-2:]) if isinstance(value, Tensor) and value.ndim else float(value)
        for name, value in supplied.items()
    }
    channels, height, width = clean.shape
    expected = (channels, round(height / scale), round(width / scale))
    if degraded.shape != expected:
        names = ", ".join(each.info.name for each in chain) or "none"
        raise TrainingError(
            f"degradation {names} made {tuple(degraded.shape)} of {tuple(clean.shape)}, expected {expected} at scale "
            f"{scale:g}; a scale other than 1 needs a degradation that reduces, such as bicubic"
        )
    return degraded, conditions


def generator_of(*numbers: int) -> torch.Generator:
    """A generator that depends on these numbers alone."""
    (seed,) = np.random.SeedSequence(numbers[0], spawn_key=numbers[1:]).generate_state(1)
    return torch.Generator().manual_seed(int(seed))


def _draw(stop: int, generator: torch.Generator) -> int:
    return int(torch.randint(stop, (), generator=generator))
