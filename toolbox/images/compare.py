"""Before and after, side by side."""

from __future__ import annotations

import numpy as np
from PIL import Image

GAP = 8  # pixels between the two


def side_by_side(before: Image.Image, after: Image.Image) -> Image.Image:
    """``before`` | ``after``; the first is resized bicubically to the size of the second."""
    before, after = eight_bits(before), eight_bits(after)
    left = before.convert("RGB").resize(after.size, Image.Resampling.BICUBIC)
    sheet = Image.new("RGB", (2 * after.width + GAP, after.height), "white")
    sheet.paste(left, (0, 0))
    sheet.paste(after.convert("RGB"), (after.width + GAP, 0))
    return sheet


def eight_bits(image: Image.Image) -> Image.Image:
    """Pillow's own conversion of 16 bits clips instead of scaling."""
    if image.mode != "I;16":
        return image
    return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
