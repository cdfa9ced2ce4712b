"""Time how long PyTorch takes to trace every architecture of the catalog for images of any size.

    python benchmarks/tracing.py                    # every architecture, about ten minutes
    python benchmarks/tracing.py nlrn rdn-diinn     # some of them

For each one the script prints the seconds of ``torch.export`` with a dynamic height and width, and how often
``torch.compile(dynamic=True)`` compiles the network for images of two sizes, which is once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim

import toolbox

SIDES = (96, 112)  # of the image that is traced; PyTorch compiles smaller convolutions anew
OTHER_SIDES = (128, 104)  # of a second image for the compiled network


def export_seconds(network: toolbox.Restorer, inputs: dict[str, Any]) -> float:
    """CPU seconds to export the network for any height and width; other work on the machine does not count."""
    shapes: dict[str, Any] = {name: {2: Dim.DYNAMIC, 3: Dim.DYNAMIC} if name == "image" else None for name in inputs}
    start = time.process_time()
    torch.export.export(network, (), inputs, dynamic_shapes=shapes, strict=False)
    return time.process_time() - start


def compilations(network: toolbox.Restorer, several: list[dict[str, Any]]) -> int:
    """How many graphs ``torch.compile`` makes for several inputs."""
    graphs = []

    def count(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    compiled = torch.compile(network, backend=count, dynamic=True)
    for inputs in several:
        compiled(**inputs)
    return len(graphs)


def inputs_for(network: toolbox.Restorer, sides: tuple[int, int]) -> dict[str, Any]:
    """An image with the conditions and the scale that the network needs."""
    conditions = {name: torch.tensor([0.1]) for name in network.spec.conditions}
    scale = {"scale": 2} if network.sizes == "any" else {}
    return {"image": torch.rand(1, network.spec.channels, *sides), **conditions, **scale}


def rows(names: list[str]) -> Iterator[tuple[str, float, int]]:
    """(name, seconds of the export, compilations) of each architecture."""
    for name in names:
        network = toolbox.build(name).eval()
        with torch.no_grad():
            seconds = export_seconds(network, inputs_for(network, SIDES))
            yield name, seconds, compilations(network, [inputs_for(network, each) for each in (SIDES, OTHER_SIDES)])


def main() -> None:
    """Print a line for each architecture, and the slowest export."""
    names = sys.argv[1:] or [info.name for info in toolbox.list_architectures()]
    slowest = 0.0
    print(f"{'architecture':<28} export  compilations")
    for name, seconds, graphs in rows(names):
        slowest = max(slowest, seconds)
        print(f"{name:<28} {seconds:5.1f} s  {graphs}", flush=True)
    print(f"the slowest export took {slowest:.1f} s")


if __name__ == "__main__":
    main()
