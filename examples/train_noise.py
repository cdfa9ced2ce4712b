"""Train the small network by which `toolbox inspect` estimates noise.

    python examples/train_noise.py PICTURES -o toolbox/images/inspection/noise.safetensors

Every case is a part of a picture of the folder, resized, so that sharp and soft ones occur, with white, correlated or
camera noise, or none, and often a JPEG afterwards. It takes a few minutes on one core.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Generator, Tensor

from toolbox.degradations.camera_noise import CameraNoiseConfig, camera_noise
from toolbox.degradations.correlated_noise import CorrelatedNoiseConfig, correlated_noise
from toolbox.degradations.jpeg import compressed
from toolbox.degradations.noise import add_noise
from toolbox.images.inspection.noise import NoiseHead, statistics_of
from toolbox.pixels import rounded_to_bytes

LARGEST = 384  # side of a part in pixels


def main() -> None:
    """Make the cases, train a network for gray and one for color, and write both into one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="folder of clean pictures")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=10000)
    parser.add_argument("--steps", type=int, default=6000)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    paths = sorted(path for path in arguments.pictures.iterdir() if path.suffix in (".png", ".jpg"))
    tensors: dict[str, Tensor] = {}
    gray, color, sigmas = [], [], []
    for number in range(arguments.cases):
        picture, sigma = case(paths[number % len(paths)], number)
        color.append(statistics_of(picture))
        gray.append(statistics_of(picture[number % 3, None]))
        sigmas.append(sigma)
    targets = torch.log1p(torch.tensor(sigmas))  # (cases, 3)
    own = targets.gather(1, (torch.arange(len(targets)) % 3)[:, None])[:, 0]
    whole = torch.log1p(torch.tensor(sigmas).square().mean(1).sqrt())
    for name, planes, statistics, target in (("gray", 1, gray, own), ("color", 2, color, whole)):
        head = trained(NoiseHead(planes), torch.stack(statistics), target, arguments.steps)
        tensors |= {f"{name}.{key}": value.contiguous() for key, value in head.state_dict().items()}
    save_file(tensors, arguments.output)


def case(path: Path, number: int) -> tuple[Tensor, list[float]]:
    """A degraded part of a picture (3, H, W) in [0, 1], and the σ of its noise in each channel, of 255."""
    draw, generator = random.Random(number), Generator().manual_seed(number)  # noqa: S311  # no cryptography
    clean = _part(path, draw)
    noisy = _noise(draw)(clean, generator)
    sigmas = (255 * (noisy - clean).square().mean((1, 2)).sqrt()).tolist()
    noisy = rounded_to_bytes(noisy)
    if draw.random() < 0.3:
        quality = draw.randint(40 if max(sigmas) < 1 else 75, 100)
        shift = (draw.randrange(8), draw.randrange(8))
        noisy = compressed(noisy, quality, draw.choice(["4:4:4", "4:2:0"]), shift)
    return noisy, sigmas


def _part(path: Path, draw: random.Random) -> Tensor:
    """A clean part: reduced, which takes the noise and the JPEG of the picture away, and often enlarged again."""
    with Image.open(path) as picture:
        scale = draw.uniform(0.45, 0.8)
        small = picture.convert("RGB").resize([round(side * scale) for side in picture.size], Image.Resampling.BICUBIC)
    if draw.random() < 0.5:
        scale = draw.uniform(1, 2.5)
        small = small.resize([round(side * scale) for side in small.size], Image.Resampling.BICUBIC)
    width, height = (min(side, draw.randint(128, LARGEST)) for side in small.size)
    left, top = draw.randint(0, small.width - width), draw.randint(0, small.height - height)
    pixels = np.array(small.crop((left, top, left + width, top + height)))
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def _noise(draw: random.Random) -> Callable[[Tensor, Generator], Tensor]:
    kind = draw.choices(("none", "white", "correlated", "camera"), (0.15, 0.25, 0.4, 0.2))[0]
    sigma = float(np.exp(draw.uniform(np.log(1), np.log(60))))
    if kind == "white":
        return lambda clean, generator: add_noise(clean, sigma, generator)
    if kind == "correlated":
        shared = draw.choice([0.0, 1.0, draw.random()])  # of the colors
        config = CorrelatedNoiseConfig(sigma=min(sigma, 50), blur=draw.uniform(0.4, 2), shared=shared)
        return lambda clean, generator: correlated_noise(config, clean, 1, generator).picture
    if kind == "camera":
        return lambda clean, generator: camera_noise(CameraNoiseConfig(), clean, 1, generator)
    return lambda clean, generator: clean


def trained(head: NoiseHead, statistics: Tensor, targets: Tensor, steps: int) -> NoiseHead:
    """Fit the network to the logarithms of σ."""
    head.mean.copy_(statistics.mean(0))
    head.std.copy_(statistics.std(0) + 1e-3)
    optimizer = torch.optim.AdamW(head.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chosen = torch.randint(len(targets), (256,))
        loss = torch.nn.functional.smooth_l1_loss(head(statistics[chosen]), targets[chosen], beta=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return head.eval()


if __name__ == "__main__":
    main()
