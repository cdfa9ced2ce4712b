"""Draw pictures side by side on one sheet: whole, and magnified where they differ most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from toolbox.images.arrays import image_in_8_bits
from toolbox.images.difference import most_different, psnr
from toolbox.images.labels import draw_label, label_height

SHEET = 1920  # width of a sheet in pixels, which its pictures share
LARGEST, SMALLEST = 800, 240  # sides of a picture on the sheet; a small picture is enlarged by a whole number
MOST_ENLARGED = 16
MAGNIFIED = 4  # magnification of a detail, compared with the picture and with its size on the sheet
GAP = 16
LETTERS = (18, 30)  # least and largest height of a name in pixels, for small and wide sheets
ALIKE = 0.1  # of the largest difference
MARK = (255, 128, 0)  # the frame around a detail
Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class Comparison:
    """A sheet of pictures, with the place of the detail and the scores."""

    sheet: Image.Image
    detail: Box  # the place where they differ most, in pixels of the largest picture or of the reference
    psnr: tuple[float, ...] | None  # of each picture, in dB, against the reference if there is one


def side_by_side(
    before: Image.Image,
    after: Image.Image,
    *,
    labels: tuple[str, str] = ("before", "after"),
    reference: Image.Image | None = None,
) -> Image.Image:
    """Draw the sheet of two pictures; see ``draw_comparison``."""
    return draw_comparison((before, after), labels, reference).sheet


def draw_comparison(
    pictures: Sequence[Image.Image], labels: Sequence[str], reference: Image.Image | None = None
) -> Comparison:
    """Draw two pictures or more in columns: label, the whole, and the detail where they differ most, pixel by pixel.

    Pictures are resized bicubically to the largest of them, and their labels say so. With a reference they are
    resized to it. It then has the last column, and the others show their PSNR of 8-bit RGB over all values.
    Transparency is drawn on white.
    """
    shown = [*pictures, reference] if reference is not None else list(pictures)
    target = reference.size if reference is not None else max((each.size for each in pictures), key=math.prod)
    notes = [_size_note(each.size, target) for each in shown]
    opaque = [_on_white(image_in_8_bits(each)) for each in shown]
    opaque = [each if each.size == target else each.resize(target, Image.Resampling.BICUBIC) for each in opaque]
    scores = None
    if reference is not None:
        scores = tuple(psnr(np.asarray(each), np.asarray(opaque[-1])) for each in opaque[:-1])
        notes = [f"{_decibels(value)}, {note}" for value, note in zip(scores, notes, strict=False)] + notes[-1:]
        labels = [*labels, "reference"]

    side = min(max(SHEET // len(opaque), SMALLEST), LARGEST)
    whole = _fitted(target, side)
    factor = MAGNIFIED * max(1, whole[0] // target[0])
    window = tuple(min(max(shown, SMALLEST) // factor, full) for shown, full in zip(whole, target, strict=True))
    compared = [np.asarray(each) for each in opaque[: len(pictures)]]
    left, top = most_different(compared, (window[0], window[1]), ALIKE)
    detail = left, top, left + window[0], top + window[1]
    return Comparison(_draw(opaque, labels, notes, whole, detail, factor), detail, scores)


def _draw(
    pictures: Sequence[Image.Image],
    labels: Sequence[str],
    notes: Sequence[str],
    whole: tuple[int, int],
    detail: Box,
    factor: int,
) -> Image.Image:
    """Draw a column for each picture, with the detail below unless the whole is already that large."""
    width, height = detail[2] - detail[0], detail[3] - detail[1]
    magnified = factor * width, factor * height
    has_detail = whole[0] < MAGNIFIED * pictures[0].width
    column = max(whole[0], magnified[0] if has_detail else 0, SMALLEST)
    across = len(pictures) * (column + GAP) - GAP
    name = min(max(across // 66, LETTERS[0]), LETTERS[1])
    note = 3 * name // 4
    names = max(label_height(each, column, name) for each in labels)
    lines = max(label_height(each, column, note) for each in notes)
    top = GAP + names + lines + GAP // 2
    caption = (
        f"where they differ most: {width} x {height} pixels at ({detail[0]}, {detail[1]}), {factor} times as large"
    )
    below = top + whole[1] + GAP
    under = below + label_height(caption, across, note) + GAP // 2
    bottom = under + magnified[1] + GAP if has_detail else below
    sheet = Image.new("RGB", (across + 2 * GAP, bottom), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (picture, label, own_note) in enumerate(zip(pictures, labels, notes, strict=True)):
        left = GAP + number * (column + GAP)
        draw_label(draw, (left, GAP), label, column, name)
        draw_label(draw, (left, GAP + names), own_note, column, note, "dimgray")
        sheet.paste(_resized(picture, whole), (left, top))
        if has_detail:
            scale = [shown / full for shown, full in zip(whole, picture.size, strict=True)]
            around = [round(edge * scale[axis % 2]) for axis, edge in enumerate(detail)]
            _frame(draw, (left + around[0], top + around[1], left + around[2], top + around[3]))
            sheet.paste(picture.crop(detail).resize(magnified, Image.Resampling.NEAREST), (left, under))
            _frame(draw, (left, under, left + magnified[0], under + magnified[1]))
    if has_detail:
        draw_label(draw, (GAP, below), caption, across, note, "dimgray")
    return sheet


def _frame(draw: ImageDraw.ImageDraw, box: Box) -> None:
    """Draw a frame around a box, in a color between two others, so that it is visible on any picture."""
    left, top, right, bottom = box
    for distance, color in ((1, "black"), (2, MARK), (3, MARK), (4, "white")):
        draw.rectangle((left - distance, top - distance, right - 1 + distance, bottom - 1 + distance), outline=color)


def _fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The size on the sheet, reduced to ``side`` or enlarged towards it by a whole number."""
    scale = side / max(size)
    if scale >= 1:
        scale = min(math.floor(scale), MOST_ENLARGED)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    enlarges = size[0] > picture.width
    return picture.resize(size, Image.Resampling.NEAREST if enlarges else Image.Resampling.LANCZOS, reducing_gap=3.0)


def _size_note(size: tuple[int, int], target: tuple[int, int]) -> str:
    own = f"{size[0]} x {size[1]}"
    if size == target:
        return own
    verb = "enlarged" if math.prod(size) < math.prod(target) else "reduced"
    return f"{own}, {verb} bicubically to {target[0]} x {target[1]}"


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _decibels(score: float) -> str:
    return f"PSNR {score:.2f} dB" if math.isfinite(score) else "equal to the reference"
