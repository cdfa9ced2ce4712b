"""A picture for the page of a network that needs no data: a drawn chart, degraded and restored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from pydantic import RootModel

from toolbox.choice import Choice
from toolbox.config import validated
from toolbox.degradations.spec import DegradationSpec
from toolbox.discovery import installed
from toolbox.errors import SpecError, TrainingError
from toolbox.evaluation.metrics import psnr
from toolbox.evaluation.sheet import SheetRow, draw_sheet
from toolbox.images.arrays import to_tensor, with_channels
from toolbox.images.engine.run import restore_tensor
from toolbox.restorer import Restorer
from toolbox.training.data import degrade, generator_of

SIDE = 192  # pixels of the chart, divisible by the usual scales
ENLARGED = 2  # the scale for a network of any size


class Degradations(RootModel[tuple[DegradationSpec, ...]]):
    """The degradations in a training record."""


def chart_sheet(restorer: Restorer, name: str) -> Image.Image | None:
    """The chart, degraded as in the network's training, and restored; None if its header does not say how."""
    scale = {"any": ENLARGED, "same": 1}.get(str(restorer.sizes)) or int(restorer.sizes)
    if restorer.channels not in (1, 3) or SIDE % scale:
        return None
    original = to_tensor(with_channels(chart(), restorer.channels))[0]
    try:
        degraded, conditions = degrade(_chain(restorer), original, scale, generator_of(0))
        wanted = {each: conditions[each] for each in restorer.spec.conditions}
    except (SpecError, TrainingError, KeyError):
        return None
    restored = restore_tensor(restorer, degraded[None], size=(SIDE, SIDE), conditions=wanted).cpu().float()
    title = "a drawn chart" if scale == 1 else f"a drawn chart x{scale}"
    caption = f"{name}  {psnr(restored, original[None]):.2f} dB"
    return draw_sheet([SheetRow(title, original[None], degraded[None].clamp(0, 1), {caption: restored})])


def _chain(restorer: Restorer) -> tuple[Choice, ...]:
    """The degradations of the training, or the usual reduction for a network that enlarges.

    Raises:
        SpecError: the header names none, or one that is not installed.
    """
    recipe = restorer.training_record.get("recipe")
    named = recipe.get("degradation") if isinstance(recipe, Mapping) else None
    if not named and restorer.sizes != "same":
        named = [{"name": "bicubic"}]
    if not named:
        raise SpecError("the header names no degradation")
    return validated(Degradations, named, installed()).root


def chart() -> np.ndarray[Any, Any]:
    """Rings, colors, a fan of lines and text: uint8, (SIDE, SIDE, 3)."""
    half = SIDE // 2
    y, x = torch.meshgrid(torch.linspace(0, 1, half), torch.linspace(0, 1, half), indexing="ij")
    # A zone plate: its frequency grows with the radius, to half of the largest.
    rings = 0.5 + 0.5 * torch.cos(math.pi / 4 * half * (x.square() + y.square()))
    colors = torch.stack([0.5 + 0.5 * torch.cos(2 * math.pi * (x + shift)) for shift in (0, 1 / 3, 2 / 3)], -1)
    picture = torch.ones(SIDE, SIDE, 3)
    picture[:half, :half] = rings[..., None]
    picture[:half, half:] = colors * y[..., None]
    image = Image.fromarray((picture * 255).round().to(torch.uint8).numpy())
    draw = ImageDraw.Draw(image)
    for angle in range(0, 91, 6):
        direction = math.cos(math.radians(angle)), -math.sin(math.radians(angle))
        draw.line([(0, SIDE - 1), (0.95 * half * direction[0], SIDE - 1 + 0.95 * half * direction[1])], "black")
    top = half + 4
    for size in (8, 11, 15, 20):
        draw.text((half + 4, top), "Restored", "black", ImageFont.load_default(size))
        top += size + 5
    return np.asarray(image)
