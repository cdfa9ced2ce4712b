"""Measure how long `toolbox restore` takes on an idle machine and beside other work.

    python benchmarks/busy.py                # several minutes
    python benchmarks/busy.py --side 1024

The other work is one process per core that only computes. The script compares the default of the command line, threads
that spin while they wait, as OpenMP's do unless it is told otherwise, and one thread. Times are medians of runs that
take turns, of the command itself, without the start of Python.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from toolbox.machine_load import COUNTS, WAIT_SETTINGS

WAYS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {  # the environment, and options
    "default": ({}, ()),
    "spinning": ({"OMP_WAIT_POLICY": "ACTIVE"}, ("--threads", str(os.cpu_count()))),
    "asleep, all cores": ({"OMP_WAIT_POLICY": "PASSIVE"}, ("--threads", str(os.cpu_count()))),
    "one thread": ({}, ("--threads", "1")),
}


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """Keep so many cores busy."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for each in others:
            each.kill()
            each.wait()


def seconds(picture: Path, model: str, way: str) -> float:
    """The time of one restored picture."""
    more, options = WAYS[way]
    environment = {name: value for name, value in os.environ.items() if name not in (*WAIT_SETTINGS, *COUNTS)}
    command = [sys.executable, "-m", "toolbox", "restore", str(picture), "-o", str(picture.with_name("out.png"))]
    done = subprocess.run(
        [*command, "-m", model, *options, "--json"], capture_output=True, text=True, check=True, env=environment | more
    )
    return float(json.loads(done.stdout)["seconds"])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512, help="side of the picture in pixels")
    parser.add_argument("--model", default="photo")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    print("| threads | idle | as many other processes as cores |", "|---|--:|--:|", sep="\n")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        pixels = np.random.default_rng(0).integers(0, 256, (arguments.side, arguments.side, 3), np.uint8)
        Image.fromarray(pixels).save(picture)
        times: dict[str, list[float]] = {}
        for others in (0, cores):
            with busy(others):
                runs = [{way: seconds(picture, arguments.model, way) for way in WAYS} for _ in range(arguments.runs)]
            for way in WAYS:
                times.setdefault(way, []).append(statistics.median(run[way] for run in runs))
    for way, (idle, beside) in times.items():
        print(f"| {way} | {idle:.2f} s | {beside:.2f} s |")


if __name__ == "__main__":
    main()
