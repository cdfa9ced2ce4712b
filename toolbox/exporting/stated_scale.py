"""State the scale of a program in its graph, for tools such as chaiNNer that infer it without running the program."""

from __future__ import annotations

from typing import Any

import numpy as np

SIDE = 16  # of the input for which chaiNNer asks ONNX for the size of the output
PREFIX = "stated_scale"


def state_scale(model: Any, scale: tuple[float, float]) -> None:
    """Let ONNX infer the size of the output from that of the input, where computed shapes hide it.

    The output becomes the same values, chosen over a resized channel of the input that is never used. ONNX knows the
    size of that channel, and that both have one size.

    Args:
        model: an ``onnx.ModelProto``, which is changed.
        scale: (vertical, horizontal); one that is no integer stays unknown, since no tool asks for it.
    """
    vertical, horizontal = (int(each) for each in scale)
    is_fixed = any(side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim[2:])
    if is_fixed or (vertical, horizontal) != scale or _inferred(model) == (vertical * SIDE, horizontal * SIDE):
        return
    from onnx import helper, numpy_helper

    graph = model.graph
    image, output = graph.input[0].name, graph.output[0]
    (last,) = (node for node in graph.node if output.name in node.output)
    computed = graph.value_info.add(name=f"{PREFIX}_computed")
    computed.type.CopyFrom(output.type)
    last.output[list(last.output).index(output.name)] = computed.name
    constants = {
        "zero": np.array([0]),
        "one": np.array([1]),
        "scales": np.array([1, 1, vertical, horizontal], np.float32),
        "never": np.array(False),
    }
    names = {name: f"{PREFIX}_{name}" for name in (*constants, "channel", "resized")}
    graph.initializer.extend(numpy_helper.from_array(value, names[name]) for name, value in constants.items())
    channel = helper.make_node("Slice", [image, *(names[each] for each in ("zero", "one", "one"))], [names["channel"]])
    resized = helper.make_node("Resize", [channel.output[0], "", names["scales"]], [names["resized"]], mode="nearest")
    chosen = helper.make_node("Where", [names["never"], resized.output[0], computed.name], [output.name])
    graph.node.extend((channel, resized, chosen))


def _inferred(model: Any) -> tuple[int, int]:
    """The (height, width) that ONNX infers for the output of an input of SIDE × SIDE, 0 for unknown."""
    import onnx

    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    batch, channels, *sides = sized.graph.input[0].type.tensor_type.shape.dim
    for dimension, length in ((batch, 1), (channels, channels.dim_value), *((side, SIDE) for side in sides)):
        dimension.dim_value = length
    inferred = onnx.shape_inference.infer_shapes(sized, strict_mode=True)
    height, width = (each.dim_value for each in inferred.graph.output[0].type.tensor_type.shape.dim[2:])
    return height, width
