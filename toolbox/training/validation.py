"""Validate a network during training: a score by a protocol, and a picture to look at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from toolbox.evaluation.cases import find_cases, read_sample
from toolbox.evaluation.metrics import metric
from toolbox.evaluation.scoring import score_folder
from toolbox.images.arrays import to_image, to_tensor
from toolbox.images.comparison import side_by_side
from toolbox.images.engine.run import restore_tensor
from toolbox.pixels import Array, to_bytes
from toolbox.records import MetricInfo
from toolbox.restorer import Restorer
from toolbox.training.data import degrade, generator_of
from toolbox.training.pictures import Pair
from toolbox.training.recipe import Recipe
from toolbox.training.settings import Validation

SAMPLE = 256  # side of the picture to look at, in pixels


def check_validation(validation: Validation) -> list[Path]:
    """Find the pictures to score, and check that all can be read.

    Raises:
        ImageError: there is no picture, or one cannot be read.
        SpecError: the protocol makes its input in another way.
    """
    low = None if validation.low is None else str(validation.low)
    cases = find_cases(validation.folder, validation.protocol, low, validation.scales)
    for case in cases:
        read_sample(case, validation.protocol, validation.sigma, validation.quality)
    return [case.original for case in cases]


class MeanScore(NamedTuple):
    """A mean over pictures, with their scales."""

    value: float
    scales: tuple[float, ...]


def mean_score(restorer: Restorer, validation: Validation) -> MeanScore:
    """The mean of the protocol's leading metric over the pictures of the validation folder."""
    name = leading_metric(validation).name
    scores = list(
        score_folder(
            restorer,
            validation.folder,
            validation.protocol,
            validation.sigma,
            low=None if validation.low is None else str(validation.low),
            scales=validation.scales,
            quality=validation.quality,
        )
    )
    value = sum(score.values[name] for score in scores) / len(scores)
    return MeanScore(value, tuple(sorted({score.scale for score in scores})))


def leading_metric(validation: Validation) -> MetricInfo:
    """The metric that decides which network is better."""
    return metric(validation.protocol.metrics[0])


def sample_picture(recipe: Recipe, restorer: Restorer, pair: Pair) -> Image.Image:
    """The middle of a picture, degraded by the recipe or taken from its partner, and beside it the same restored."""
    scale = pair.scale or recipe.scale.typical
    height, width = (max(1, int(min(SAMPLE, side) / scale)) for side in pair.clean.shape[:2])
    size = round(height * scale), round(width * scale)
    conditions: Mapping[str, Any] = pair.conditions
    if pair.degraded is None:
        clean = to_tensor(_middle(pair.clean, size))[0]
        degraded, supplied = degrade(recipe.degradation, clean, scale, generator_of(recipe.seed))
        conditions = {**conditions, **supplied}
    else:
        height, width = min(height, pair.degraded.shape[0]), min(width, pair.degraded.shape[1])
        size = round(height * scale), round(width * scale)
        degraded = to_tensor(_middle(pair.degraded, (height, width)))[0]
    wanted = {name: _fitting(conditions[name], (height, width)) for name in recipe.model.conditions}
    restored = restore_tensor(restorer, degraded[None], size=size, conditions=wanted)
    return side_by_side(_image(degraded[None]), _image(restored))


def _middle(array: Array, size: tuple[int, int]) -> Array:
    """The middle (H, W) of an array (H', W') or (H', W', C)."""
    top, left = ((whole - part) // 2 for whole, part in zip(array.shape[:2], size, strict=True))
    return np.ascontiguousarray(array[top : top + size[0], left : left + size[1]])


def _fitting(condition: Any, size: tuple[int, int]) -> Any:
    """The part of a map for the middle of a picture."""
    return _middle(condition, size) if isinstance(condition, np.ndarray) else condition


def _image(picture: Tensor) -> Image.Image:
    """Convert (1, C, H, W) in [0, 1], or beyond by noise, to an image; bands other than gray and RGB are averaged."""
    shown = picture[0] if picture.shape[1] in (1, 3) else picture[0].mean(0, keepdim=True)
    return to_image(to_bytes(shown).permute(1, 2, 0).cpu().numpy())
