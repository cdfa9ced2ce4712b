"""Predict the time to read a page and to write its result: by reading it, and by writing a part of it."""

from __future__ import annotations

import io
import time

from toolbox.errors import ImageError
from toolbox.images.arrays import from_tensor, to_tensor
from toolbox.images.files.formats import CannotHold, Format
from toolbox.images.files.page import Page
from toolbox.images.files.reading import PictureFile
from toolbox.images.files.writing import write_pages
from toolbox.resize import resize

SIDE = 512  # pixels of the part, after it is resized


def seconds_for_page(
    file: PictureFile, number: int, size: tuple[int, int], kind: Format, quality: int | None = None
) -> float:
    """The seconds to decode a page, and to convert and write a result of that (height, width); 0 if it is damaged."""
    try:
        page = file.page(number, keep=True)
    except ImageError:
        return 0.0
    height, width = page.pixels.shape[:2]
    sides = min(size[0], SIDE), min(size[1], SIDE)
    rows, columns = (max(1, side * old // new) for side, old, new in zip(sides, (height, width), size, strict=True))
    top, left = (height - rows) // 2, (width - columns) // 2
    part = page.pixels[top : top + rows, left : left + columns]
    resized = resize(to_tensor(part), sides).clamp(0, 1)
    started = time.perf_counter()
    try:
        write_pages(io.BytesIO(), [Page(from_tensor(resized, part), page.metadata)], kind, quality)
    except CannotHold:  # which a dry run does not tell
        return file.decoding_seconds
    writing = time.perf_counter() - started
    return file.decoding_seconds + writing * size[0] * size[1] / (sides[0] * sides[1])
