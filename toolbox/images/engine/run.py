"""Run the network over a picture, tile by tile, as planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolbox.errors import ImageError
from toolbox.images.arrays import from_tensor, to_tensor
from toolbox.images.engine.alpha import without_hidden_colors
from toolbox.images.engine.pieces import restore_in_pieces
from toolbox.images.engine.plan import Plan, decoded_size
from toolbox.images.engine.reach import reach_of
from toolbox.images.engine.tiling import Tiling, encode_in_tiles
from toolbox.resize import resize
from toolbox.restorer import Restorer

Progress = Callable[[int, int], None]  # steps done, steps in all
NONE: Mapping[str, Any] = {}


def has_alpha(channels: int, restorer: Restorer) -> bool:
    """Whether the last of so many channels is alpha. If the network has as many, none is."""
    return channels in (2, 4) and channels != restorer.channels


def restore_array(
    restorer: Restorer,
    array: np.ndarray[Any, Any],
    plan: Plan,
    progress: Progress | None = None,
    conditions: Mapping[str, Any] = NONE,
) -> np.ndarray[Any, Any]:
    """Restore an array (H, W) or (H, W, C) as planned; the result has the same type."""
    restored = restore_tensor(restorer, to_tensor(array), plan.size, progress, plan.tiling, conditions)
    return from_tensor(restored, array)


def restore_tensor(
    restorer: Restorer,
    image: Tensor,
    size: tuple[int, int] | None = None,
    progress: Progress | None = None,
    tiling: Tiling | None = None,
    conditions: Mapping[str, Any] = NONE,
    part_of_result: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Tensor:
    """Restore (1, C, H, W) in [0, 1] to (1, C, *size) in [0, 1].

    If the network has another number of channels, the last of two or four channels is alpha, and a gray network
    restores each of three colors by itself. Without a size the network's own decides. Without a tiling the tiles
    are exact. A program runs tile by tile as a whole; any other network encodes tiles, and decodes all features.
    ``part_of_result`` takes the place of encoder and decoder: from the picture as the network takes it, and the same
    with its conditions, it computes a part of the result of a picture without alpha.

    Raises:
        ImageError: the network needs another number of channels, or gives values that are not finite.
        SpecError: the network does not do that size, or a condition is missing or unknown.
    """
    channels, (height, width) = image.shape[1], image.shape[2:]
    target = restorer.output_size(height, width, size)
    colors, alpha = (image[:, :-1], image[:, -1:]) if has_alpha(channels, restorer) else (image, None)
    decoded = decoded_size(restorer, (channels, height, width), target)
    tiling = tiling or reach_of(restorer, (height, width), decoded).exact().within(height, width)
    if alpha is not None:
        colors = without_hidden_colors(colors, alpha)
    colors = colors.to(restorer.mean)  # the network's device and type
    if colors.shape[1] == restorer.channels:
        passes = [colors]
    elif restorer.channels == 1 and colors.shape[1] == 3:
        passes = list(colors.split(1, 1))
    elif colors.shape[1] == 1:
        passes = [colors.expand(-1, restorer.channels, -1, -1)]
    else:
        raise ImageError(f"got a picture of {colors.shape[1]} channels, expected {restorer.channels} for this model")

    steps, done = len(passes) * (tiling.count(height, width) + (not restorer.runs_whole)), 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps)

    restored = []
    training = restorer.training
    restorer.eval()
    try:
        with torch.no_grad():
            for part in passes:
                if restorer.runs_whole:
                    result = restore_in_pieces(restorer, part, decoded, tiling, conditions, step)
                    restored.append(resize(result, target))
                    continue
                seen = restorer.with_conditions(part, conditions)
                if part_of_result is not None:
                    restored.append(part_of_result(part, seen))
                    continue
                features = encode_in_tiles(restorer, restorer.pad(seen), tiling, step)
                restored.append(resize(restorer.decode(features, part, decoded), target))
                step()
    finally:
        restorer.train(training)
    result = torch.cat(restored, 1) if len(restored) > 1 else restored[0]
    if result.shape[1] != colors.shape[1]:
        result = result.mean(1, keepdim=True)  # the result of a color model for a gray picture
    if not all(extreme.isfinite() for extreme in result.aminmax()):  # also finds NaN
        raise ImageError(f"the network ({restorer.spec.summary or 'unnamed'}) gave values that are not finite")
    result = result.to(image).clamp_(0, 1)
    return torch.cat((result, resize(alpha, target).clamp_(0, 1)), 1) if alpha is not None else result
