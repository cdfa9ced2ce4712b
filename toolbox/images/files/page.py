"""One picture of a file, which holds one page or several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from toolbox.images.files.metadata import Metadata
from toolbox.pixels import Array

TURNS = {  # of EXIF's orientations: (rows become columns, flip rows, flip columns)
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


@dataclass(frozen=True)
class Page:
    """Upright pixels at the depth of their file, with its metadata."""

    # uint8 or uint16: (H, W) gray, (H, W, 2) gray and alpha, (H, W, 3) RGB, (H, W, 4) RGB and alpha.
    # Colors are not premultiplied by alpha.
    pixels: Array
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()  # sentences about conversions while reading
    # All channels (H, W, N) where some are neither colors nor alpha, such as a raw mosaic's or a spectrum's.
    bands: Array | None = None

    @property
    def deep(self) -> bool:
        """Whether it has 16 bits per channel."""
        return self.pixels.dtype == np.uint16

    @property
    def has_alpha(self) -> bool:
        return self.pixels.ndim == 3 and self.pixels.shape[2] in (2, 4)

    def channels(self, count: int) -> Array:
        """The bands if there are so many, for a network that takes them, or else the pixels."""
        return self.pixels if self.bands is None or self.bands.shape[2] != count else self.bands


@dataclass(frozen=True)
class StreamedPage:
    """A page whose rows come from top to bottom, and only once: a large result that no array needs to hold."""

    strips: Iterator[Array]  # some rows each, uint8 or uint16, as in Page.pixels, or (rows, W, N) bands
    shape: tuple[int, ...]  # of all rows
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()
    of_bands: bool = False  # whether all channels are neither colors nor alpha

    def whole(self) -> Page:
        """The page with all of its rows in memory."""
        first = next(self.strips)
        pixels, top = np.empty(self.shape, first.dtype), 0
        for strip in chain((first,), self.strips):
            pixels[top : top + len(strip)] = strip
            top += len(strip)
        if self.of_bands:
            return page_of_bands(pixels, self.metadata, self.notes)
        return Page(pixels, self.metadata, self.notes)


def page_of_bands(bands: Array, metadata: Metadata, notes: tuple[str, ...] = ()) -> Page:
    """A page of channels (H, W, N) that are neither colors nor alpha; its pixels are their mean, to look at."""
    gray = np.mean(bands, axis=2, dtype=np.float64).round().astype(bands.dtype)
    return Page(gray, metadata, notes, bands)


def upright(
    pixels: Array, orientation: int, metadata: Metadata, notes: tuple[str, ...], bands: Array | None = None
) -> Page:
    """A page of stored pixels, rotated upright by the orientation of EXIF."""
    turned, flip_rows, flip_columns = TURNS.get(orientation, (False, False, False))

    def rotated(array: Array) -> Array:
        array = array.swapaxes(0, 1) if turned else array
        return np.ascontiguousarray(array[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1])

    return Page(rotated(pixels), metadata.upright(turned), notes, None if bands is None else rotated(bands))
