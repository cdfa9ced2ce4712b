"""Zoom into a detail, continuously. An implicit decoder answers at any point, so any frame is possible.

    python examples/zoom.py

The script writes out/zoom.webp, an animation with interpolation on the left and diinn-lite on the right.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import toolbox
from toolbox.images.arrays import to_image, to_tensor
from toolbox.images.files.picture import read_picture

PHOTO = Path(__file__).parent / "photos" / "chelsea.png"
OUT = Path("out")
SMALL = 120  # side of the picture, in pixels
DETAIL = (-0.27, -0.26)  # place of the detail, (y, x) from -1 to 1: an eye
FRAMES, SIDE, FARTHEST = 20, 176, 6.0  # zoom of the last frame


def window(zoom: float) -> Tensor:
    """The points of a frame, (SIDE², 2): its pixel centers, around a place between the middle and the detail."""
    centers = (2 * torch.arange(SIDE, dtype=torch.float64) + 1) / SIDE - 1
    # The view moves toward the detail as fast as it narrows, so that it never leaves the picture.
    y, x = (centers / zoom + place * (1 - 1 / zoom) for place in DETAIL)
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)


def beside(left: Tensor, right: Tensor) -> Image.Image:
    """Two frames (SIDE², 3) in [0, 1] as one picture."""
    views = [values.reshape(SIDE, SIDE, 3).clamp(0, 1) for values in (left, right)]
    return to_image(torch.cat(views, 1).numpy())


network = toolbox.load("diinn-lite")
photo = read_picture(PHOTO).resize((SMALL, SMALL), Image.Resampling.BICUBIC)
image = to_tensor(np.asarray(photo))

frames = []
with torch.inference_mode():
    features = network.encode(image)  # once; the frames only ask for points
    for zoom in np.geomspace(1, FARTHEST, FRAMES):
        points = window(float(zoom))
        pixel = 2 / SIDE / float(zoom)  # height and width of the frame's pixels; those of the picture are 2 / SMALL
        detail = network.decoder.query(features, points, (pixel, pixel))[0]
        # diinn-lite adds to bicubic interpolation. grid_sample takes points as (x, y).
        grid = points.flip(-1).to(image)[None, None]
        smooth = F.grid_sample(image, grid, "bicubic", "border", align_corners=False)[0, :, 0].T
        std = network.std.flatten()
        frames.append(beside(smooth, smooth + detail * std))

OUT.mkdir(exist_ok=True)
back_and_forth = frames + frames[-2:0:-1]
back_and_forth[0].save(OUT / "zoom.webp", save_all=True, append_images=back_and_forth[1:], duration=90, loop=0)
print(f"wrote {OUT / 'zoom.webp'}: {len(back_and_forth)} frames of {frames[0].width} x {frames[0].height}")
