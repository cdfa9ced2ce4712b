"""Make a network of any scale out of one of a fixed scale: the features of a Compact network under LM-LIIF.

The network is small and learns from the photographs beside this script in 200 steps, which shows the way and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import toolbox

PHOTOS = Path(__file__).parent / "photos"
OUT = Path("out")
STEPS, BATCH, PATCH = 200, 8, 16
SPEC = {
    "summary": "features of a Compact network of spandrel under LM-LIIF's decoder",
    "channels": 3,
    "normalization": {"mean": 0.5, "std": 0.2},
    "encoder": {
        "name": "spandrel",
        "architecture": "Compact",
        "hyperparameters": {"num_feat": 32, "num_conv": 2, "upscale": 4},
    },
    "decoder": {"name": "modulated-ensemble", "width": 16, "depth": 2, "latent": [32]},
    "global_skip": "bilinear",
}


def main() -> None:
    """Train the network, print its score beside that of bilinear interpolation, and save it."""
    torch.manual_seed(0)
    photos = [picture(path) for path in sorted(PHOTOS.glob("*.png"))]
    restorer = toolbox.build(SPEC)
    optimizer = torch.optim.Adam(restorer.parameters(), 6e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        scale = float(torch.empty(()).uniform_(2, 3))
        side = round(PATCH * scale)
        sharp = torch.cat([crop(photos[int(torch.randint(len(photos), ()))], side) for _ in range(BATCH)])
        small = reduced(sharp, PATCH)
        loss = F.l1_loss(restorer(small, size=(side, side)), sharp)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    restorer.eval()
    learned, plain = score(lambda small: restorer(small, scale=2.5), photos), score(bilinear, photos)
    print(f"enlarged 2.5 times, after {STEPS} steps: {learned:.2f} dB; bilinear: {plain:.2f} dB")
    OUT.mkdir(exist_ok=True)
    restorer.training_record = {"author": "the example", "steps": STEPS}
    toolbox.save(restorer, OUT / "compact-any-scale.safetensors")


def picture(path: Path) -> Tensor:
    """A photograph as (1, 3, H, W) in [0, 1]."""
    with Image.open(path) as opened:
        return torch.from_numpy(np.asarray(opened.convert("RGB")) / np.float32(255)).permute(2, 0, 1)[None]


def crop(photo: Tensor, side: int) -> Tensor:
    """A square of a photograph at a random place."""
    top, left = (int(torch.randint(length - side + 1, ())) for length in photo.shape[2:])
    return photo[..., top : top + side, left : left + side]


def reduced(sharp: Tensor, side: int) -> Tensor:
    """The picture at a smaller size, without aliases."""
    return F.interpolate(sharp, (side, side), mode="bicubic", antialias=True).clamp(0, 1)


def bilinear(small: Tensor) -> Tensor:
    """The picture 2.5 times as large."""
    return F.interpolate(small, scale_factor=2.5, mode="bilinear")


@torch.no_grad()
def score(enlarge: Callable[[Tensor], Tensor], photos: list[Tensor]) -> float:
    """The mean PSNR of the middles of the photographs, enlarged from 40 to 100 pixels."""
    scores = []
    for photo in photos:
        top, left = ((length - 100) // 2 for length in photo.shape[2:])
        sharp = photo[..., top : top + 100, left : left + 100]
        restored = enlarge(reduced(sharp, 40)).clamp(0, 1)
        scores.append(-10 * float(F.mse_loss(restored, sharp).log10()))
    return sum(scores) / len(scores)


if __name__ == "__main__":
    main()
