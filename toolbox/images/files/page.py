"""One picture of a file, which holds one page or several."""

from __future__ import annotations

from dataclasses import dataclass, field

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

    @property
    def deep(self) -> bool:
        """Whether it has 16 bits per channel."""
        return self.pixels.dtype == np.uint16

    @property
    def has_alpha(self) -> bool:
        return self.pixels.ndim == 3 and self.pixels.shape[2] in (2, 4)


def upright(pixels: Array, orientation: int, metadata: Metadata, notes: tuple[str, ...]) -> Page:
    """A page of stored pixels, rotated upright by the orientation of EXIF."""
    turned, flip_rows, flip_columns = TURNS.get(orientation, (False, False, False))
    if turned:
        pixels = pixels.swapaxes(0, 1)
    pixels = pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    return Page(np.ascontiguousarray(pixels), metadata.upright(turned), notes)
