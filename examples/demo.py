"""Restore three photographs, and measure how close the result comes to the original.

    python examples/demo.py

The script makes the inputs from known originals in examples/photos: it adds noise to the gray one and
reduces the color ones. It writes the inputs, the restored pictures and both side by side to out/.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

import toolbox
from toolbox.evaluation.metrics import psnr
from toolbox.images.arrays import to_tensor
from toolbox.images.comparison import side_by_side
from toolbox.images.files.picture import read_picture, write_picture

PHOTOS = Path(__file__).parent / "photos"
SIGMA = 25  # standard deviation of the noise, of 255
SCALE = 2.5  # of an enlarged picture


def add_noise(original: Image.Image) -> Image.Image:
    """A gray picture with Gaussian noise, always the same, rounded and clipped to 8 bits."""
    clean = np.asarray(original)
    noisy = clean + np.random.default_rng(0).normal(0, SIGMA, clean.shape)
    return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))


def shrink(original: Image.Image) -> Image.Image:
    """A picture reduced by SCALE with Pillow's bicubic, which is antialiased."""
    size = round(original.width / SCALE), round(original.height / SCALE)
    return original.resize(size, Image.Resampling.BICUBIC)


def score(picture: Image.Image, original: Image.Image) -> str:
    """The PSNR of a picture against the original of the same size, over all values."""
    return f"{psnr(to_tensor(np.asarray(picture)), to_tensor(np.asarray(original))):.2f} dB"


@dataclass(frozen=True)
class Task:
    """A photograph, its degradation, and the model that undoes it."""

    photo: str
    degrade: Callable[[Image.Image], Image.Image]
    degraded: str  # name of the input in its file name
    model: str
    scale: float | None = None


TASKS = (
    Task("camera", add_noise, "noisy", "nlrn-lite"),
    Task("coffee", shrink, "small", "diinn-lite", SCALE),
    Task("chelsea", shrink, "small", "diinn-lite", SCALE),
)


def main() -> None:
    """Run every task, and print the written files with the PSNR before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of the pictures (default: %(default)s)")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    table = Table("written", "model", "PSNR before", "PSNR after", show_lines=True)
    for task in TASKS:
        original = read_picture(PHOTOS / f"{task.photo}.png")
        degraded = task.degrade(original)
        restored = toolbox.restore(degraded, model=task.model, scale=task.scale)
        before = degraded.resize(original.size, Image.Resampling.BICUBIC)  # a copy, if the size is the same
        labels = (task.degraded, f"restored by {task.model}")
        sheet = side_by_side(degraded, restored, labels=labels, reference=original)
        written = {task.degraded: degraded, "restored": restored, "before-after": sheet}
        for suffix, picture in written.items():
            write_picture(picture, out / f"{task.photo}-{suffix}.png")
        files = "\n".join(f"{task.photo}-{suffix}.png" for suffix in written)
        table.add_row(files, task.model, score(before, original), score(restored, original))
    console = Console()
    console.print(table)
    console.print(f"In {out}/; before is the noisy picture, or the small one enlarged bicubically.", soft_wrap=True)


if __name__ == "__main__":
    main()
