"""Train the two small networks that ship with the toolbox, on any folder of pictures.

    python examples/train_lite.py nlrn-lite --pictures PHOTOS --run runs/nlrn-lite --minutes 40 --score set12

An interrupted run goes on when the same command is given again. The result is one safetensors
file in the run's folder, whose header says how it was trained and how it scored.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import toolbox
from toolbox.evaluation.evaluate import evaluate
from toolbox.evaluation.protocols import PROTOCOLS
from toolbox.registry import ProtocolInfo
from toolbox.restorer import Restorer
from toolbox.training.data import random_patches, read_pictures
from toolbox.training.degradations import add_noise, reduce_bicubic
from toolbox.training.loop import train

SIGMA = 25
NOISY_PATCH, NOISY_BATCH = 48, 8
CLEAN_PATCH, CLEAN_BATCH = 64, 16
SCALES = (1.2, 4.0)


def noisy_batch(pictures: list[Tensor]) -> Callable[[torch.Generator], tuple[Tensor, Tensor]]:
    """Clean patches and the same with Gaussian noise; every other one as a saved picture has it, in 8 bits."""

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        clean = random_patches(pictures, NOISY_BATCH, NOISY_PATCH, generator)
        noisy = add_noise(clean, SIGMA, generator)
        noisy[::2] = (noisy[::2] * 255).round().clamp(0, 255) / 255
        return noisy, clean

    return draw


def small_batch(pictures: list[Tensor]) -> Callable[[torch.Generator], tuple[Tensor, Tensor]]:
    """Clean patches and the same, reduced by a random scale."""

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        clean = random_patches(pictures, CLEAN_BATCH, CLEAN_PATCH, generator)
        low, high = SCALES
        scale = low + (high - low) * float(torch.rand((), generator=generator))
        side = round(CLEAN_PATCH / scale)
        return reduce_bicubic(clean, (side, side)), clean

    return draw


def mean_psnr(restorer: Restorer, folder: Path, protocol: ProtocolInfo) -> float:
    """The mean score of a folder's pictures in dB, to two digits."""
    scores = [score.psnr for score in evaluate(restorer, folder, protocol, SIGMA)]
    return round(sum(scores) / len(scores), 2)


def main() -> None:
    """Train, and save the averaged weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=("nlrn-lite", "diinn-lite"))
    parser.add_argument("--pictures", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoint and the result")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument(
        "--score", type=Path, action="append", default=[], help="folder to score on, by the protocol of `toolbox eval`"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)

    arguments.run.mkdir(parents=True, exist_ok=True)
    restorer = toolbox.build(arguments.model)
    if arguments.model == "nlrn-lite":
        with torch.no_grad():
            restorer.decoder.conv.weight.mul_(0.05)  # start near the identity: the network gives a residual
    pictures = read_pictures(arguments.pictures, restorer.channels)
    denoises = arguments.model == "nlrn-lite"
    trained, steps = train(
        restorer,
        noisy_batch(pictures) if denoises else small_batch(pictures),
        F.mse_loss if denoises else F.l1_loss,
        minutes=arguments.minutes,
        checkpoint=arguments.run / "checkpoint.safetensors",
        learning_rate=2e-3 if denoises else 1e-3,
        report=lambda line: print(line, flush=True),
    )
    protocol = next(each for each in PROTOCOLS if each.name == ("denoise-gray" if denoises else "liif-benchmark"))
    task = f"Gaussian noise, sigma {SIGMA}" if denoises else f"bicubic reduction by {SCALES[0]} to {SCALES[1]}"
    trained.training_record = {
        "pictures": f"{len(pictures)} of {arguments.pictures.name}",
        "degradation": task,
        "minutes": arguments.minutes,
        "steps": steps,
        "batch": NOISY_BATCH if denoises else CLEAN_BATCH,
        "patch": NOISY_PATCH if denoises else CLEAN_PATCH,
        "threads": arguments.threads,
        "protocol": protocol.name,
        "psnr": {folder.name: mean_psnr(trained, folder, protocol) for folder in arguments.score},
    }
    toolbox.save(trained, arguments.run / f"{arguments.model}.safetensors")


if __name__ == "__main__":
    main()
