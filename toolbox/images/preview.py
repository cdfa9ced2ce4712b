"""Restore one region of a picture as it will be in the whole, without restoring the whole.

A network of the same size or a fixed scale sees the region with everything that it depends on. One of any size encodes
the tiles around the region, and its implicit decoder answers at the positions of the whole grid that lie in the region.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from toolbox.decoders.implicit import ImplicitDecoder
from toolbox.decoders.skip import resized
from toolbox.errors import ImageError
from toolbox.images.arrays import from_tensor, to_tensor
from toolbox.images.engine.chain import ChainPlan, conditions_of, run_chain_on_tensor
from toolbox.images.engine.request import Request
from toolbox.images.engine.run import evaluating, finished, has_alpha, merged, passes_of, restore_tensor
from toolbox.images.engine.tiling import Tiling
from toolbox.images.files.page import Page
from toolbox.images.files.reading import opened
from toolbox.images.restore_file import Networks, Settings, plans_for, usual_format
from toolbox.padding import alignment_of, cropped
from toolbox.resize import resize
from toolbox.restorer import Restorer

TILE = 128  # side of a tile in pixels; small, because few tiles are needed
INTERPOLATED = 2  # pixels around a position that bicubic interpolation sees
Box = tuple[int, int, int, int]  # top, left, height, width, in pixels


@dataclass(frozen=True)
class Region:
    """A region of a picture before and after, and the networks that restored it."""

    before: Page
    after: Page
    networks: Networks


def restore_region(path: Path, box: Box, settings: Settings) -> Region:
    """Restore a region of the first page of a file; its pixels are those of the restored whole.

    Raises:
        ImageError: the region is not inside the picture, or the picture cannot be read or restored.
        SpecError: the model does not do that size.
    """
    with opened(path) as file:
        networks = settings.networks_for(file)
        plan = plans_for(file, networks, settings.request, usual_format(file))[0]
        page = file.page(file.pages[0])
    pixels = page.channels(networks.channels)
    (height, width), (top, left, rows, columns) = pixels.shape[:2], box
    if top + rows > height or left + columns > width:
        raise ImageError(
            f"{path}: got the region {left},{top},{columns},{rows}, expected one inside {width}x{height} pixels"
        )
    before = pixels[top : top + rows, left : left + columns]
    after = before
    if networks.restorers:
        inside = scaled_box(box, (height, width), plan.size)
        image = to_tensor(pixels)
        with torch.no_grad():
            after = from_tensor(region_of(networks.restorers, image, plan, settings.request, inside), pixels)
    own = Page(before, page.metadata)
    return Region(own, dataclasses.replace(own, pixels=after), networks)


def scaled_box(box: Box, before: tuple[int, int], after: tuple[int, int]) -> Box:
    """The pixels of a picture of one (height, width) that cover a box of another."""
    sides = []
    for start, length, old, new in zip(box[:2], box[2:], before, after, strict=True):
        first, last = start * new // old, -(-(start + length) * new // old)
        sides.append((first, max(1, last - first)))
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]


def region_of(restorers: Sequence[Restorer], image: Tensor, plan: ChainPlan, request: Request, box: Box) -> Tensor:
    """The pixels of a box of the result of networks in a row, (1, C, height, width) of a picture (1, C, H, W)."""
    if _hides_colors(restorers[0], image):  # whose replacement depends on the whole picture
        return _cut(run_chain_on_tensor(restorers, image, plan, request), box)
    restored = _last_region(restorers, image, [stage.size for stage in plan.stages], request, box)
    if request.strength == 1:
        return restored
    return _cut(resize(image, plan.size).clamp(0, 1), box).lerp(restored, request.strength)


def _last_region(
    restorers: Sequence[Restorer], image: Tensor, sizes: Sequence[tuple[int, int]], request: Request, box: Box
) -> Tensor:
    *earlier, restorer = restorers
    *before, size = sizes
    shape = before[-1] if before else (image.shape[-2], image.shape[-1])
    needed = _needed(restorer, shape, size, box)
    if earlier:
        seen = image.new_zeros(*image.shape[:2], *shape)
        _cut(seen, needed).copy_(_last_region(earlier, image, before, request, needed))
    else:
        seen = image
    conditions = conditions_of(restorer, request.conditions)
    if restorer.sizes == "any":
        whole = restorer.runs_whole or has_alpha(seen.shape[1], restorer)
        if whole or size[0] < shape[0] or size[1] < shape[1]:
            return _cut(restore_tensor(restorer, seen, size, conditions=conditions), box)

        with evaluating(restorer), torch.no_grad():
            parts = [
                _grid_region(restorer, part, restorer.with_conditions(part, conditions), size, needed, box)
                for part in passes_of(restorer, seen)
            ]
        return finished(restorer, merged(parts, seen.shape[1]), seen)
    scale = size[0] // shape[0]
    around = restore_tensor(restorer, _cut(seen, needed), (scale * needed[2], scale * needed[3]), conditions=conditions)
    return _cut(around, (box[0] - scale * needed[0], box[1] - scale * needed[1], *box[2:]))


def _needed(restorer: Restorer, before: tuple[int, int], after: tuple[int, int], box: Box) -> Box:
    """The box of the picture on which a box of the result depends, at the alignment of the network."""
    reach = restorer.receptive_field
    if reach is None or restorer.runs_whole or after[0] < before[0] or after[1] < before[1]:
        return 0, 0, *before
    step = math.lcm(alignment_of(restorer.spec.encoder.config), restorer.padding.multiple)
    sides = []
    for (start, length), old in zip(zip(*_halves(scaled_box(box, after, before)), strict=True), before, strict=True):
        first = max(0, start - reach - INTERPOLATED) // step * step
        last = min(old, -(-(start + length + reach + INTERPOLATED) // step) * step)
        sides.append((first, last - first))
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]


def _grid_region(
    restorer: Restorer, image: Tensor, seen: Tensor, size: tuple[int, int], needed: Box, box: Box
) -> Tensor:
    """A box of the result of a network of any size: the picture (1, C, H, W), also with its conditions."""
    padded = restorer.pad(seen)
    if not isinstance(restorer.decoder, ImplicitDecoder) or restorer.spec.decoder.config.takes_image:
        return _cut(restorer.decode(restorer.encode(padded), image, size), box)
    features = cropped(_features(restorer, padded, needed), image.shape[-2], image.shape[-1])
    rows, columns = slice(box[0], box[0] + box[2]), slice(box[1], box[1] + box[3])
    values = restorer.decoder.region(features, size, rows, columns) * restorer.std
    skip = restorer.spec.global_skip
    return values + (restorer.mean if skip == "none" else _cut(resized(image, size, skip), box))


def _features(restorer: Restorer, image: Tensor, needed: Box) -> Tensor:
    """The features of a padded picture (1, C, H, W), computed in the tiles around a box and zero elsewhere."""
    encoder = restorer.spec.encoder.config
    field = encoder.receptive_field()
    if field is None:
        return restorer.encode(image)
    tiling = Tiling(TILE, field, alignment_of(encoder))
    (top, left, height, width), features = needed, image.new_zeros(0)
    for row in tiling.segments(image.shape[-2]):
        for column in tiling.segments(image.shape[-1]):
            if row[1] <= top or row[0] >= top + height or column[1] <= left or column[0] >= left + width:
                continue
            tile = restorer.encode(image[..., row[2] : row[3], column[2] : column[3]])
            if not features.numel():
                features = tile.new_zeros(*tile.shape[:2], *image.shape[-2:])
            inside = (..., slice(row[0] - row[2], row[1] - row[2]), slice(column[0] - column[2], column[1] - column[2]))
            features[..., row[0] : row[1], column[0] : column[1]] = tile[inside]
    return features


def _hides_colors(restorer: Restorer, image: Tensor) -> bool:
    return has_alpha(image.shape[1], restorer) and bool((image[:, -1] <= 0).any())


def _halves(box: Box) -> tuple[tuple[int, int], tuple[int, int]]:
    return box[:2], box[2:]


def _cut(image: Tensor, box: Box) -> Tensor:
    """A box of an image (B, C, H, W)."""
    top, left, height, width = box
    return image[..., top : top + height, left : left + width]
