"""Enlarge noisy small pictures in one pass, or in two: first remove the noise, then enlarge.

    python examples/noisy_enlarging.py PICTURES

The script scores each way on a folder of pictures by the protocol `noisy-sr` at σ = 15, and prints a table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import mean

from torch import Tensor

import toolbox
from toolbox.discovery import installed
from toolbox.evaluation.cases import find_cases, read_sample
from toolbox.evaluation.protocols import measure
from toolbox.images.engine.run import restore_tensor

SIGMA = 15.0
SCALES = (2.0, 3.0)

Way = Callable[[Tensor, tuple[int, int]], Tensor]


def one_pass(name: str) -> Way:
    """One network that does both."""
    network = toolbox.load(name)
    return lambda picture, size: restore_tensor(network, picture, size=size)


def two_passes(denoiser: str, enlarger: str) -> Way:
    """One network after the other."""
    first, second = toolbox.load(denoiser), toolbox.load(enlarger)
    return lambda picture, size: restore_tensor(second, restore_tensor(first, picture), size=size)


def main() -> None:
    """Score every way on every picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="folder of clean pictures")
    pictures = parser.parse_args().pictures
    protocol = installed().protocols["noisy-sr"]
    ways = {
        "`bicubic`": one_pass("bicubic"),
        "`nlrn-lite-blind`, then `bicubic`": two_passes("nlrn-lite-blind", "bicubic"),
        "`nlrn-lite-blind`, then `diinn-lite`": two_passes("nlrn-lite-blind", "diinn-lite"),
        "`nlrn-diinn-lite`": one_pass("nlrn-diinn-lite"),
    }
    print("| way |", *(f"×{scale:g} |" for scale in SCALES))
    print("| --- |", *("--: |" for _ in SCALES))
    for name, restore in ways.items():
        means = []
        for scale in SCALES:
            psnr = []
            for case in find_cases(pictures, protocol, scales=[scale]):
                sample = read_sample(case, protocol, SIGMA)
                height, width = sample.original.shape[-2:]
                restored = restore(sample.degraded, (height, width))
                psnr.append(measure(protocol, restored, sample.original, sample.degraded, scale)["psnr"])
            means.append(mean(psnr))
        print(f"| {name} |", *(f"{value:.2f} |" for value in means), flush=True)


if __name__ == "__main__":
    main()
