"""Write flat and smoothly shaded pictures, so that a network learns to add nothing to a sky or a wall.

python examples/recipes/flat_pictures.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

COUNT, SIDE = 60, 160


def flat_picture(generator: np.random.Generator) -> Image.Image:
    """One color, or a slope from one color to another, 8-bit RGB."""
    first, second = generator.uniform(-10, 265, (2, 3))  # beyond both ends, so that black and white occur too
    if generator.random() < 0.5:
        second = first  # flat
    elif generator.random() < 0.5:
        second = first + generator.uniform(-40, 40)  # a slope as gentle as in a sky
    angle = generator.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    position = np.clip(0.5 + (np.cos(angle) * x + np.sin(angle) * y) / 2.8, 0, 1)[..., None]
    colors = first + position * (second - first)
    if generator.random() < 0.25:
        colors = np.repeat(colors.mean(-1, keepdims=True), 3, -1)  # gray
    return Image.fromarray(np.clip(np.round(colors), 0, 255).astype(np.uint8))


def main(folder: Path) -> None:
    """Write the pictures, the same every time."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(COUNT):
        flat_picture(np.random.default_rng(number)).save(folder / f"flat_{number:02}.png")
    print(f"{COUNT} pictures in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
