"""Trace a network into a program of PyTorch that has no Python in it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from toolbox.exporting.refusal import refusal
from toolbox.programs.header import ProgramHeader
from toolbox.restorer import Restorer

IMAGE = "image"


class Baked(nn.Module):
    """A network with its scale baked in, so that an image is its only input besides the conditions."""

    def __init__(self, network: Restorer, header: ProgramHeader) -> None:
        super().__init__()
        self.network = network
        self.scale: Any = None
        if network.sizes == "any" and header.scale != "any":  # an integer traces to a simpler program
            vertical, horizontal = (int(each) if each == int(each) else each for each in header.scale)
            self.scale = vertical if vertical == horizontal else (vertical, horizontal)

    def forward(
        self, image: Tensor, height: Any = None, width: Any = None, conditions: dict[str, Tensor] | None = None
    ) -> Tensor:
        """(B, C, H, W) in [0, 1] → (B, C, H', W'); conditions have the shape (B,)."""
        size = None if height is None else (height, width)
        restored: Tensor = self.network(image, size, self.scale, **(conditions or {}))
        return restored


def traced(restorer: Restorer, header: ProgramHeader) -> ExportedProgram:
    """The program of a network, for any batch, height and width unless the header fixes them.

    Raises:
        SpecError: a part of the network cannot be traced; the sentence names it.
    """
    dynamic = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC} if header.tile is None else None
    batch, height, width = _sample(header)
    image = torch.rand(batch, restorer.channels, height, width, dtype=restorer.mean.dtype, device=restorer.mean.device)
    more: dict[str, Any] = {}
    shapes: dict[str, Any] = {IMAGE: dynamic}
    if header.scale == "any":
        more = {"height": 2 * height + 1, "width": 2 * width + 3}
        shapes |= dict.fromkeys(more, Dim.DYNAMIC)
    if restorer.spec.conditions:
        conditions = {name: torch.ones(batch).to(image) for name in restorer.spec.conditions}
        shapes["conditions"] = dict.fromkeys(conditions, dynamic and {0: Dim.DYNAMIC})
        more["conditions"] = conditions
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about its own parts
            return torch.export.export(
                Baked(restorer, header).eval(), (image,), more, dynamic_shapes=shapes, strict=False
            )
    # Tracing runs the network's code, which may fail in any way on sizes that are symbols.
    except Exception as error:
        raise refusal(restorer, error) from error


def inputs_of(restorer: Restorer, header: ProgramHeader) -> list[str]:
    """The names of a program's inputs, in order."""
    return [IMAGE, *(["height", "width"] if header.scale == "any" else []), *restorer.spec.conditions]


def _sample(header: ProgramHeader) -> tuple[int, int, int]:
    """(batch, height, width) of the image to trace; sizes that differ, so that none stands for another."""
    if header.tile is not None:
        return 1, header.tile, header.tile
    return 2, 2 * header.alignment + 36, 3 * header.alignment + 42


def symbols_of(program: ExportedProgram) -> Mapping[str, str]:
    """The names for the symbols of a program's sizes: batch, height and width, and those of the output."""
    placeholders = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    image = placeholders[IMAGE]
    sizes = [(image.shape[0], "batch"), (image.shape[2], "height"), (image.shape[3], "width")]
    sizes += [(placeholders[name], f"output_{name}") for name in ("height", "width") if name in placeholders]
    return {str(size): name for size, name in sizes if isinstance(size, torch.SymInt)}
