"""ONNX Runtime against PyTorch, for every network that ships with weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from result import Result

import toolbox
from toolbox.benchmarking.timing import interleaved
from toolbox.catalog import shipped_providers
from toolbox.discovery import installed
from toolbox.exporting.export import export
from toolbox.exporting.request import ExportRequest
from toolbox.programs.onnx_restorer import open_onnx

CPU = torch.device("cpu")
SIDES = (64, 256)  # of the pictures: a small one, and about a tile
SCALE = 2  # of networks of any size
REPEATS = 9


def runtimes() -> list[Result]:
    """The time of each shipped network in ONNX Runtime, with as many threads as PyTorch has."""
    with TemporaryDirectory() as folder:
        return [result for name in _shipped() for result in _in_both(name, Path(folder))]


def _shipped() -> Iterator[str]:
    found = installed().architectures
    return (name for name in shipped_providers() if found[name].weights is not None)


def _in_both(name: str, folder: Path) -> Iterator[Result]:
    network = toolbox.load(name)
    asked: Mapping[str, Any] = {"scale": SCALE} if network.sizes == "any" else {}
    export(network, folder / f"{name}.onnx", ExportRequest(asked.get("scale")))
    program = open_onnx(folder / f"{name}.onnx")
    for side in SIDES:
        image = torch.rand(1, network.channels, side, side)
        times = interleaved(
            {"ours": partial(network, image, **asked), "onnx": partial(program, image, **asked)}, 9, CPU
        )
        ours, onnx = times["ours"].median, times["onnx"].median
        work = f"{name} in ONNX Runtime, {side} × {side}" + (f", ×{SCALE}" if asked else "")
        pixel = 1e6 / side**2
        detail = f"{pixel * onnx:.2f} µs a pixel, ±{times['onnx'].spread:.0%}; PyTorch {pixel * ours:.2f} µs"
        yield Result(work, "PyTorch", onnx / ours, "of the time", detail)
