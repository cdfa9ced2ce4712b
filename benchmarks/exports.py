"""Export every architecture of the catalog to ONNX, and compare it with PyTorch on pictures of five sizes.

    python benchmarks/exports.py                    # every architecture, about an hour on two cores
    python benchmarks/exports.py nlrn rdn-x2        # some of them

For each one the script prints the CPU seconds of the export, the nodes of its graph, and the largest difference of
results in 1/255. An architecture that cannot be exported has the sentence of its refusal.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import torch

import toolbox
from toolbox.errors import ToolboxError
from toolbox.exporting.export import export
from toolbox.exporting.request import ExportRequest
from toolbox.programs.onnx_restorer import open_onnx

SIZES = ((17, 23), (32, 30), (21, 13), (9, 35), (40, 11))  # (height, width) of pictures
SCALE = 1.5  # of networks of any size


def difference(network: toolbox.Restorer, program: toolbox.Restorer, size: tuple[int, int]) -> float:
    """The largest difference of the results for a picture, in 1/255."""
    asked: dict[str, Any] = {"scale": SCALE} if network.sizes == "any" else {}
    asked |= {name: condition.unit / 10 for name, condition in network.spec.conditions.items()}
    image = torch.rand(1, network.channels, *size)
    return 255 * float((network(image, **asked) - program(image, **asked)).abs().max())


def line(name: str, folder: Path) -> str:
    """What there is to say about an architecture."""
    network, path = toolbox.build(name).eval(), folder / "network.onnx"
    start = time.process_time()
    try:
        export(network, path, ExportRequest(any_size=network.sizes == "any"))
    except ToolboxError as refusal:
        return str(refusal)
    seconds = time.process_time() - start
    nodes = len(onnx.load(path).graph.node)
    program = open_onnx(path)
    most = max(difference(network, program, size) for size in SIZES)
    return f"{seconds:5.1f} s  {nodes:5d}  {most:.4f}"


def main() -> None:
    """Print a line for each architecture."""
    torch.manual_seed(0)
    print(f"{'architecture':<28} export  nodes  difference")
    with TemporaryDirectory() as folder, torch.no_grad():
        for name in sys.argv[1:] or [info.name for info in toolbox.list_architectures()]:
            print(f"{name:<28} {line(name, Path(folder))}", flush=True)


if __name__ == "__main__":
    main()
