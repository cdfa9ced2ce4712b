"""How well a network does while it is trained: a score by a protocol, and a picture to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from toolbox.evaluation.cases import find_cases, read_sample
from toolbox.evaluation.scoring import score_folder
from toolbox.images.arrays import image_in_8_bits, to_image, to_tensor
from toolbox.images.comparison import side_by_side
from toolbox.images.engine.run import restore_tensor
from toolbox.images.files.picture import read_picture
from toolbox.pixels import to_bytes
from toolbox.restorer import Restorer
from toolbox.training.data import degrade, generator_of
from toolbox.training.recipe import Recipe, Validation

SAMPLE = 256  # pixels along a side of the picture to look at


def check_validation(validation: Validation) -> list[Path]:
    """The pictures that are scored, all of which can be read.

    Raises:
        ImageError: there is none, or one cannot be read.
        SpecError: the protocol makes its input in another way.
    """
    cases = find_cases(validation.folder, validation.protocol, scales=validation.scales)
    for case in cases:
        read_sample(case, validation.protocol, validation.sigma)
    return [case.original for case in cases]


def mean_score(restorer: Restorer, validation: Validation) -> float:
    """The mean PSNR in dB over the pictures of the validation folder."""
    scores = score_folder(
        restorer, validation.folder, validation.protocol, validation.sigma, scales=validation.scales or ()
    )
    values = [score.psnr for score in scores]
    return sum(values) / len(values)


def sample_picture(recipe: Recipe, restorer: Restorer, path: Path) -> Image.Image:
    """The middle of a picture, degraded as the recipe does it | restored."""
    picture = image_in_8_bits(read_picture(path)).convert("L" if restorer.channels == 1 else "RGB")
    scale = recipe.scale.typical
    height, width = (max(1, int(min(SAMPLE, side) / scale)) for side in (picture.height, picture.width))
    size = round(height * scale), round(width * scale)
    top, left = (picture.height - size[0]) // 2, (picture.width - size[1]) // 2
    clean = to_tensor(np.asarray(picture.crop((left, top, left + size[1], top + size[0]))))[0]
    degraded = degrade(recipe.degradation, clean, scale, generator_of(recipe.seed))[None]
    restored = restore_tensor(restorer, degraded, size=size)
    return side_by_side(_image(degraded), _image(restored))


def _image(picture: Tensor) -> Image.Image:
    """(1, C, H, W) in [0, 1], maybe beyond by its noise."""
    return to_image(to_bytes(picture[0]).permute(1, 2, 0).cpu().numpy())
