"""Compare a denoising network with BM3D on the same noisy pictures: PSNR and time per pixel.

    pip install bm3d   # its license allows research only
    python examples/beside_bm3d.py PICTURES

The script scores every picture of a folder by the protocol `denoise-gray` at σ = 25, and prints a table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

import toolbox
from toolbox.discovery import installed
from toolbox.evaluation.cases import find_cases, read_sample
from toolbox.evaluation.protocols import measure
from toolbox.images.engine.run import restore_tensor

SIGMA = 25.0

Way = Callable[[Tensor], Tensor]


def load_bm3d() -> Way:
    """BM3D of Dabov et al. (IEEE TIP 2007), by its authors' package."""
    try:
        from bm3d import bm3d
    except ImportError:
        raise SystemExit("the package bm3d is not installed; install it with: pip install bm3d") from None

    def denoise(picture: Tensor) -> Tensor:
        denoised = torch.as_tensor(bm3d(picture[0, 0].numpy(), SIGMA / 255))[None, None]
        return denoised.to(picture.dtype).clamp(0, 1)

    return denoise


def main() -> None:
    """Score both ways on every picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="folder of clean pictures")
    parser.add_argument("--model", default="nlrn-lite", help="default: %(default)s")
    arguments = parser.parse_args()
    protocol = installed().protocols["denoise-gray"]
    ways: dict[str, Way] = {
        "BM3D": load_bm3d(),
        arguments.model: partial(restore_tensor, toolbox.load(arguments.model)),
    }
    print("| picture |", *(f"{name} | µs a pixel |" for name in ways))
    print("| --- |", *("--: | --: |" for _ in ways))
    psnr: dict[str, list[float]] = {name: [] for name in ways}
    per_pixel: dict[str, list[float]] = {name: [] for name in ways}
    for case in find_cases(arguments.pictures, protocol):
        sample = read_sample(case, protocol, SIGMA)
        for name, way in ways.items():
            started = time.perf_counter()
            restored = way(sample.degraded)
            per_pixel[name].append(1e6 * (time.perf_counter() - started) / restored.numel())
            psnr[name].append(measure(protocol, restored, sample.original, sample.degraded, 1.0)["psnr"])
        row = (f"{psnr[name][-1]:.2f} | {per_pixel[name][-1]:.1f} |" for name in ways)
        print(f"| {case.original.name} |", *row, flush=True)
    print("| mean |", *(f"{mean(psnr[name]):.2f} | {mean(per_pixel[name]):.1f} |" for name in ways))


if __name__ == "__main__":
    main()
