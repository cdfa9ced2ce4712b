"""Write a program as an ONNX file."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from toolbox.errors import SpecError, WeightsError
from toolbox.exporting.refusal import refusal
from toolbox.exporting.trace import symbols_of
from toolbox.restorer import Restorer

OUTPUT = "restored"
OPSETS = range(18, 24)  # from the first with all our operations to the last that runtimes know
LARGEST = 2**31 - 1  # bytes of a file without external data


def to_onnx(restorer: Restorer, program: ExportedProgram, inputs: list[str], opset: int = OPSETS[0]) -> Any:
    """The program of a network as an ``onnx.ModelProto``, with names for its inputs, output and sizes.

    Raises:
        SpecError: the opset is unknown, or ONNX lacks an operation; the sentence names the part that has it.
        WeightsError: the packages for it are not installed.
    """
    if opset not in OPSETS:
        raise SpecError(f"got opset {opset}, expected {OPSETS[0]} to {OPSETS[-1]}")
    try:
        import onnx
        import onnxscript  # noqa: F401  # PyTorch needs it, and says so late
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"writing ONNX needs {error.name}, which is not installed; pip install 'toolbox-restoration[onnx]'"
        ) from None
    try:
        with _quiet():
            written = torch.onnx.export(
                program,
                (),
                dynamo=True,
                verbose=False,
                opset_version=opset,
                input_names=inputs,
                output_names=[OUTPUT],
            )
    # PyTorch wraps whatever its translation of an operation raises.
    except Exception as error:
        raise refusal(restorer, error, program) from error
    if written is None:
        raise SpecError("PyTorch gave no ONNX program")
    model = written.model_proto
    _name_sizes(model, symbols_of(program))
    onnx.checker.check_model(model)
    return model


def write_onnx(model: Any, path: Path, texts: Mapping[str, str]) -> None:
    """Write a model with texts as its metadata.

    Raises:
        WeightsError: it is too large for one file.
    """
    for key, value in texts.items():
        model.metadata_props.add(key=key, value=value)
    if model.ByteSize() > LARGEST:
        raise WeightsError(f"the program has {model.ByteSize() / 1e9:.1f} GB, and ONNX takes 2 GB; export to .pt2")
    path.write_bytes(model.SerializeToString())


def _name_sizes(model: Any, names: Mapping[str, str]) -> None:
    """Name the sizes of every value, such as 2*height instead of 2*s73, and drop traces of this machine's paths."""
    graph = model.graph
    symbol = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b") if names else None
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if symbol is not None and dimension.dim_param:
                dimension.dim_param = symbol.sub(lambda found: names[found[1]], dimension.dim_param)
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress of the translation, which nobody asked for; its failure is an error."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
