"""Draw a comparison sheet: crops side by side with names and scores, and error maps below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from toolbox.evaluation.cases import QUALITY, read_sample
from toolbox.evaluation.metrics import metric
from toolbox.evaluation.report import Report
from toolbox.evaluation.run import Job
from toolbox.evaluation.scoring import score_picture
from toolbox.images.difference import most_different
from toolbox.images.labels import draw_label
from toolbox.pixels import to_bytes
from toolbox.records import ProtocolInfo
from toolbox.restorer import Restorer

CROP = 96  # pixels of a crop, per side
CELL = 240  # pixels of a crop on the sheet, per side
TEXT, LETTERS = 36, 13  # height of a caption and of its letters, in pixels
GAP = 8
ROWS = 6  # most pictures
GAIN = 5  # factor for the errors


@dataclass(frozen=True)
class SheetRow:
    """One picture: the original, the input, and the result of each model, all (1, C, H, W) in [0, 1]."""

    title: str
    original: Tensor
    degraded: Tensor
    restored: Mapping[str, Tensor]  # by caption: the model's name and its score


def choose_rows(
    report: Report, models: Mapping[str, Restorer], jobs: Sequence[Job], protocol: ProtocolInfo
) -> list[SheetRow]:
    """Choose the first model's worst picture, its best, and the next of each, and restore them again."""
    leading, first = metric(report.metrics[0]), next(iter(models))
    found = [(made.values[leading.name], case, names) for case, names in jobs if (made := report.find(first, case))]
    found.sort(key=lambda each: each[0], reverse=not leading.higher_is_better)
    alternating = [each for pair in zip(found, reversed(found), strict=True) for each in pair][: len(found)]
    rows = []
    for _, case, names in alternating[:ROWS]:
        sample = read_sample(case, protocol, report.sigma or 0.0, report.quality or QUALITY)
        restored = {}
        for name in names:
            if report.find(name, case):
                made, image = score_picture(models[name], case.original.name, sample, protocol)
                restored[f"{name}  {made.values[leading.name]:.{leading.digits}f}"] = image
        scale = f" x{sample.scale:.4g}" if sample.scale != 1 else ""
        title = f"{case.original.name}{scale}, {leading.label} by {protocol.name}"
        rows.append(SheetRow(title, sample.original, sample.degraded, restored))
    return rows


def draw_sheet(rows: Sequence[SheetRow]) -> Image.Image:
    """Draw one row for each picture, where the first model errs most; white marks an error of 1/5 or more."""
    columns = 2 + max(len(row.restored) for row in rows)
    height = TEXT + 2 * CELL + 2 * GAP
    sheet = Image.new("RGB", (columns * (CELL + GAP) + GAP, len(rows) * height + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        top = number * height + GAP
        place = _worst_place(next(iter(row.restored.values())), row.original)
        size = (row.original.shape[-2], row.original.shape[-1])
        degraded = F.interpolate(row.degraded, size, mode="nearest-exact").clamp(0, 1)
        for column, (caption, image) in enumerate({row.title: row.original, "input": degraded, **row.restored}.items()):
            left = column * (CELL + GAP) + GAP
            draw_label(draw, (left, top), caption, CELL, LETTERS)
            sheet.paste(_picture(image[place]), (left, top + TEXT))
            if column > 0:
                error = (GAIN * (image - row.original).abs().mean(1, keepdim=True)).clamp(0, 1)
                sheet.paste(_picture(error[place]), (left, top + TEXT + CELL + GAP))
    return sheet


def _worst_place(restored: Tensor, original: Tensor) -> tuple[slice, ...]:
    """The crop with the largest squared error."""
    height, width = (min(CROP, side) for side in original.shape[-2:])
    arrays = [image[0].permute(1, 2, 0).cpu().numpy() for image in (restored, original)]
    left, top = most_different(arrays, (width, height))
    return (..., slice(top, top + height), slice(left, left + width))  # type: ignore[return-value]  # mypy


def _picture(image: Tensor) -> Image.Image:
    values = to_bytes(image[0].expand(3, -1, -1)).permute(1, 2, 0).cpu().numpy()
    picture = Image.fromarray(values)
    scale = CELL / max(picture.size)
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.NEAREST)
