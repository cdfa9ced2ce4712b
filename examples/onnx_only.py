"""Restore a picture with a network in an ONNX file, with NumPy, Pillow and ONNX Runtime alone.

    toolbox export photo -o photo.onnx
    python examples/onnx_only.py photo.onnx PICTURE OUTPUT
    python examples/onnx_only.py enlarger.onnx PICTURE OUTPUT --scale 2

The file's metadata says how to cut a picture into tiles: each gets a halo of pixels around it, and its result without
the halo is that of the whole picture. Start your own runtime from this script; its license is that of Toolbox.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from math import ceil, floor, lcm
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

TILE = 256  # pixels per side, without the halo
Array = np.ndarray[Any, Any]


class Program:
    """A network in an ONNX file: arrays (1, C, H, W) in [0, 1] become (1, C, H', W'), not clamped."""

    def __init__(self, path: Path) -> None:
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        texts = self.session.get_modelmeta().custom_metadata_map
        facts = {name: json.loads(texts[f"toolbox.{name}"]) for name in ("scale", "halo", "alignment", "tile")}
        if facts["tile"] is not None:
            raise SystemExit(f"{path}: takes tiles of one size alone; export the network without --tile")
        self.scale, self.halo, self.alignment = facts["scale"], facts["halo"], facts["alignment"]
        image = self.session.get_inputs()[0]
        self.channels: int = image.shape[1]
        self.dtype = {"tensor(float)": np.float32, "tensor(float16)": np.float16}.get(image.type, np.float64)

    def size_for(self, height: int, width: int, scale: float | None) -> tuple[int, int]:
        """The (height, width) of the result; halves are rounded up."""
        if (scale is None) == (self.scale == "any"):
            has = "any scale; give --scale" if scale is None else f"the scale {self.scale} in it; leave out --scale"
            raise SystemExit(f"the network has {has}")
        own: Any = scale if self.scale == "any" else self.scale
        vertical, horizontal = own if isinstance(own, list) else (own, own)
        return floor(height * vertical + 0.5), floor(width * horizontal + 0.5)

    def run(self, tile: Array, size: tuple[int, int]) -> Array:
        """The result for one tile."""
        inputs = {"image": np.ascontiguousarray(tile, self.dtype)}
        if self.scale == "any":
            inputs |= {"height": np.array(size[0]), "width": np.array(size[1])}
        return np.asarray(self.session.run(None, inputs)[0])

    def restore(self, image: Array, size: tuple[int, int]) -> Array:
        """The result of (1, C, H, W) for the whole picture, tile by tile."""
        ratios = [Fraction(after, before) for before, after in zip(image.shape[2:], size, strict=True)]
        rows, columns = (self.segments(length, ratios) for length in image.shape[2:])
        restored = np.empty((1, image.shape[1], *size), self.dtype)
        for top, bottom, outer_top, outer_bottom in rows:
            for left, right, outer_left, outer_right in columns:
                tile = image[:, :, outer_top:outer_bottom, outer_left:outer_right]
                result = self.run(tile, scaled(tile.shape[2], tile.shape[3], ratios))
                (y, x), (down, across) = scaled(top, left, ratios), scaled(outer_top, outer_left, ratios)
                stop, end = scaled(bottom, right, ratios)
                restored[:, :, y:stop, x:end] = result[:, :, y - down : stop - down, x - across : end - across]
        return restored

    def segments(self, length: int, ratios: list[Fraction]) -> list[tuple[int, int, int, int]]:
        """Cut an axis: (start, stop) of each tile, and (start, stop) with the halo.

        Tiles start where pixels of the picture and of the result begin together, and at multiples of the alignment.
        """
        if self.halo is None or length <= TILE:
            return [(0, length, 0, length)]
        alignment = lcm(self.alignment, *(ratio.denominator for ratio in ratios))
        step, halo = (ceil(pixels / alignment) * alignment for pixels in (TILE, self.halo))
        starts = range(0, length, step)
        return [(at, min(at + step, length), max(at - halo, 0), min(at + step + halo, length)) for at in starts]


def scaled(y: int, x: int, ratios: list[Fraction]) -> tuple[int, int]:
    """Coordinates in the picture as those in the result."""
    return int(y * ratios[0]), int(x * ratios[1])


def restore(program: Program, picture: Image.Image, scale: float | None) -> Image.Image:
    """A picture restored in its colors; a gray network restores each of them by itself."""
    values = np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB"), np.float32) / 255
    planes = values.reshape(1, *values.shape[:2], -1).transpose(0, 3, 1, 2)
    gray = planes.shape[1] == 1
    size = program.size_for(planes.shape[2], planes.shape[3], scale)
    if program.channels == 1:
        parts = [program.restore(planes[:, channel : channel + 1], size) for channel in range(planes.shape[1])]
        restored = np.concatenate(parts, 1)
    else:
        restored = program.restore(planes.repeat(3, 1) if gray else planes, size)
    if gray:
        restored = restored.mean(1, keepdims=True)
    levels = np.round(np.clip(restored[0].astype(np.float32), 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(levels[0] if gray else levels.transpose(1, 2, 0))


def main() -> None:
    """Restore one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("network", "picture", "output"):
        parser.add_argument(name, type=Path, metavar=name.upper())
    parser.add_argument("--scale", type=float, help="output over input size, for a network exported with --any-size")
    arguments = parser.parse_args()
    with Image.open(arguments.picture) as picture:
        restored = restore(Program(arguments.network), picture, arguments.scale)
    restored.save(arguments.output)
    print(f"wrote {arguments.output}, {restored.width}x{restored.height}")


if __name__ == "__main__":
    main()
