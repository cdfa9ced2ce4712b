"""The memory of a program, found from the shapes in its graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from toolbox.exporting.trace import IMAGE
from toolbox.programs.header import ProgramHeader

SIDE = 512  # of the picture whose memory is computed
VIEWS = ("view", "reshape", "_unsafe_view", "unsqueeze", "squeeze", "alias", "detach")  # that no runtime copies


def memory_of(program: ExportedProgram, header: ProgramHeader) -> tuple[float, float] | None:
    """Bytes for each input pixel and for each output pixel, at most; None when memory is no multiple of pixels."""
    if header.receptive_field is None:
        return None
    inputs = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    image = inputs[IMAGE]
    side = header.tile or SIDE
    pixels = side * side

    def at(output: int) -> float:
        given = [*zip(image.shape, (1, image.shape[1], side, side), strict=True)]
        given += [(inputs[name], output) for name in ("height", "width") if name in inputs]
        sizes = {size.node.expr: number for size, number in given if isinstance(size, torch.SymInt)}
        return _peak(program, sizes)

    if header.scale != "any":
        return round(at(side) / pixels, 1), 0.0
    same, double = at(side), at(2 * side)
    per_output = (double - same) / (3 * pixels)
    return round(same / pixels - per_output, 1), round(per_output, 1)


def _peak(program: ExportedProgram, sizes: Mapping[Any, int]) -> float:
    """The most bytes of results that are alive at once, for symbols of these sizes."""
    nodes = [node for node in program.graph.nodes if node.op == "call_function"]
    owner: Any = {}  # a view keeps the memory of another node
    for node in nodes:
        is_view = getattr(getattr(node.target, "overloadpacket", None), "__name__", "") in VIEWS
        owner[node] = owner.get(node.args[0], node.args[0]) if is_view and node.args else node
    places = enumerate(program.graph.nodes)
    last = {owner.get(each, each): place for place, node in places for each in node.all_input_nodes}
    alive: dict[Any, float] = {}
    most = 0.0
    for place, node in enumerate(program.graph.nodes):
        if owner.get(node) is node:
            alive[node] = _bytes(node.meta.get("val"), sizes)
            most = max(most, sum(alive.values()))
        for ended in [each for each in alive if last.get(each, place) <= place]:
            del alive[ended]
    return most


def _bytes(value: Any, sizes: Mapping[Any, int]) -> float:
    if isinstance(value, (tuple, list)):
        return sum(_bytes(each, sizes) for each in value)
    if not isinstance(value, Tensor):
        return 0.0
    lengths = (int(each.node.expr.xreplace(sizes)) if isinstance(each, torch.SymInt) else each for each in value.shape)
    return float(math.prod(lengths) * value.element_size())
