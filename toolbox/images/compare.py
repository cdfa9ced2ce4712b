"""Pictures side by side on one sheet: whole, and where they differ most, magnified."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from toolbox.images.labels import draw_label, label_height

SHEET = 1920  # pixels of a sheet's width that its pictures share
LARGEST, SMALLEST = 800, 240  # sides of a picture on the sheet; a small one is enlarged by a whole number
MOST_ENLARGED = 16
MAGNIFIED = 4  # times that a detail is larger than the picture, and than the picture on the sheet if that is enlarged
GAP = 16
LETTERS = (18, 30)  # pixels of a name's, less and more than which a small and a wide sheet do not need
ALIKE = 0.1  # of the largest difference
MARK = (255, 128, 0)  # the frame around a detail
Box = tuple[int, int, int, int]  # left, top, right, bottom

Pixels = NDArray[np.generic]


@dataclass(frozen=True)
class Comparison:
    """A sheet, and what can be said about its pictures."""

    sheet: Image.Image
    detail: Box  # where they differ most, in pixels of the largest picture, or of the reference
    psnr: tuple[float, ...] | None  # of each picture, in dB, against the reference if there is one


def side_by_side(
    before: Image.Image,
    after: Image.Image,
    *,
    labels: tuple[str, str] = ("before", "after"),
    reference: Image.Image | None = None,
) -> Image.Image:
    """The sheet of two pictures; see ``compare``."""
    return compare((before, after), labels, reference).sheet


def compare(pictures: Sequence[Image.Image], labels: Sequence[str], reference: Image.Image | None = None) -> Comparison:
    """Draw two pictures or more in columns: label, the whole, and the detail where they differ most, pixel by pixel.

    Pictures are resized bicubically to the largest of them, which their labels say; or to the reference, which
    has the last column, the others having their PSNR: of 8-bit RGB, over all values. Transparency is on white.
    """
    shown = [*pictures, reference] if reference is not None else list(pictures)
    target = reference.size if reference is not None else max((each.size for each in pictures), key=math.prod)
    notes = [_size_note(each.size, target) for each in shown]
    opaque = [_on_white(eight_bits(each)) for each in shown]
    opaque = [each if each.size == target else each.resize(target, Image.Resampling.BICUBIC) for each in opaque]
    psnr = None
    if reference is not None:
        psnr = tuple(_psnr(np.asarray(each), np.asarray(opaque[-1])) for each in opaque[:-1])
        notes = [f"{_decibels(value)}, {note}" for value, note in zip(psnr, notes, strict=False)] + notes[-1:]
        labels = [*labels, "reference"]

    side = min(max(SHEET // len(opaque), SMALLEST), LARGEST)
    whole = _fitted(target, side)
    factor = MAGNIFIED * max(1, whole[0] // target[0])
    window = tuple(min(max(shown, SMALLEST) // factor, full) for shown, full in zip(whole, target, strict=True))
    compared = [np.asarray(each) for each in opaque[: len(pictures)]]
    left, top = most_different(compared, (window[0], window[1]), ALIKE)
    detail = left, top, left + window[0], top + window[1]
    return Comparison(_draw(opaque, labels, notes, whole, detail, factor), detail, psnr)


def most_different(pictures: Sequence[Pixels], window: tuple[int, int], alike: float = 0.0) -> tuple[int, int]:
    """Left and top of the window (width, height) in which arrays (H, W, C) of one range differ most.

    How much they differ is, for each value, the square of the largest less the smallest; windows are
    tried at about every twelfth of their side. Those within the fraction ``alike`` of the most count as
    alike, as noise is everywhere, and of them it is the one with the most edges.
    """
    height, width = pictures[0].shape[:2]
    step = max(1, min(window) // 12)
    rows = [band for band in _bands(pictures, step) if len(band[0]) == step]
    across, down = (max(1, side // step) for side in window)
    differences = _window_sums(np.stack([_block_sums(np.square(np.ptp(band, axis=0))) for band in rows]), across, down)
    edges = _window_sums(np.stack([_block_sums(_edges(np.mean(band, axis=0))) for band in rows]), across, down)
    best = np.where(differences >= (1 - alike) * differences.max(), edges if alike else differences, -1).argmax()
    top, left = divmod(int(best), differences.shape[1])
    return min(left * step, width - window[0]), min(top * step, height - window[1])


def eight_bits(image: Image.Image) -> Image.Image:
    """Pillow's own conversion of 16 bits clips instead of scaling."""
    if image.mode != "I;16":
        return image
    return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))


def _block_sums(band: NDArray[np.float32]) -> NDArray[np.float64]:
    """(step, W, C) → (W // step,): sums over squares of ``step`` pixels."""
    step, width, _ = band.shape
    columns = width // step
    return band[:, : columns * step].reshape(step, columns, -1).sum((0, 2), dtype=np.float64)


def _edges(band: NDArray[np.float32]) -> NDArray[np.float32]:
    """(step, W, C): how much a value differs from its neighbors in the band, squared."""
    right, below = (np.diff(band, axis=axis, append=band.take([-1], axis)) for axis in (1, 0))
    return np.square(right) + np.square(below)


def _window_sums(blocks: NDArray[np.float64], across: int, down: int) -> NDArray[np.float64]:
    """(H, W) → (H − down + 1, W − across + 1): sums of each window."""
    sums = np.pad(blocks.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return sums[down:, across:] - sums[:-down, across:] - sums[down:, :-across] + sums[:-down, :-across]


def _draw(
    pictures: Sequence[Image.Image],
    labels: Sequence[str],
    notes: Sequence[str],
    whole: tuple[int, int],
    detail: Box,
    factor: int,
) -> Image.Image:
    """A column for each picture; the detail beneath, unless the whole is as large as one already."""
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
    told = f"where they differ most: {width} x {height} pixels at ({detail[0]}, {detail[1]}), {factor} times as large"
    below = top + whole[1] + GAP
    under = below + label_height(told, across, note) + GAP // 2
    bottom = under + magnified[1] + GAP if has_detail else below
    sheet = Image.new("RGB", (across + 2 * GAP, bottom), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (picture, label, told_of_it) in enumerate(zip(pictures, labels, notes, strict=True)):
        left = GAP + number * (column + GAP)
        draw_label(draw, (left, GAP), label, column, name)
        draw_label(draw, (left, GAP + names), told_of_it, column, note, "dimgray")
        sheet.paste(_resized(picture, whole), (left, top))
        if has_detail:
            scale = [shown / full for shown, full in zip(whole, picture.size, strict=True)]
            around = [round(edge * scale[axis % 2]) for axis, edge in enumerate(detail)]
            _frame(draw, (left + around[0], top + around[1], left + around[2], top + around[3]))
            sheet.paste(picture.crop(detail).resize(magnified, Image.Resampling.NEAREST), (left, under))
            _frame(draw, (left, under, left + magnified[0], under + magnified[1]))
    if has_detail:
        draw_label(draw, (GAP, below), told, across, note, "dimgray")
    return sheet


def _frame(draw: ImageDraw.ImageDraw, box: Box) -> None:
    """Around a box, in a color between two others, so that it is seen on any picture."""
    left, top, right, bottom = box
    for distance, color in ((1, "black"), (2, MARK), (3, MARK), (4, "white")):
        draw.rectangle((left - distance, top - distance, right - 1 + distance, bottom - 1 + distance), outline=color)


def _fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The size on the sheet: reduced to ``side``, or enlarged by a whole number towards it."""
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


def _psnr(picture: Pixels, reference: Pixels) -> float:
    """In dB, of 8-bit values; a band at a time, since a picture may be large."""
    bands = _bands((picture, reference), 256)
    error = sum(float(np.square(one - other).sum(dtype=np.float64)) for one, other in bands) / picture.size
    return 10 * math.log10(255**2 / error) if error else math.inf


def _decibels(psnr: float) -> str:
    return f"PSNR {psnr:.2f} dB" if math.isfinite(psnr) else "equal to the reference"


def _bands(pictures: Sequence[Pixels], rows: int) -> Iterator[list[NDArray[np.float32]]]:
    """The same rows of each picture as float32, from top to bottom."""
    for top in range(0, len(pictures[0]), rows):
        yield [each[top : top + rows].astype(np.float32) for each in pictures]
