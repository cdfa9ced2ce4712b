"""How well a network does while it is trained: a score by a protocol, and a picture to look at."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from toolbox.evaluation.evaluate import evaluate, originals
from toolbox.evaluation.protocols import PROTOCOLS
from toolbox.images.compare import side_by_side
from toolbox.images.picture import read_picture
from toolbox.images.restore import restore_tensor, to_image, to_tensor
from toolbox.restorer import Restorer
from toolbox.training.recipe import Recipe, Validation


def score(restorer: Restorer, validation: Validation) -> float:
    """The mean score in dB over the pictures of the validation folder.

    Raises:
        ImageError: a picture cannot be read, or does not suit the protocol.
    """
    protocol = next(each for each in PROTOCOLS if each.name == validation.protocol)
    scores = [each.psnr for each in evaluate(restorer, validation.folder, protocol, validation.sigma)]
    return sum(scores) / len(scores)


def sample_picture(recipe: Recipe, restorer: Restorer) -> Image.Image | None:
    return None
