"""Export a network into a file that other programs run."""

from __future__ import annotations

import dataclasses
import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch._export.serde.serialize import SerializeError
from torch.export import ExportedProgram

from toolbox.errors import SpecError, WeightsError
from toolbox.exporting.compiled import compiled_files
from toolbox.exporting.memory import memory_of
from toolbox.exporting.onnx_format import OPSETS, to_onnx, write_onnx
from toolbox.exporting.request import ExportRequest
from toolbox.exporting.spandrel_format import check_spandrel, write_spandrel
from toolbox.exporting.stated_scale import state_scale
from toolbox.exporting.trace import inputs_of, traced
from toolbox.files import written_beside
from toolbox.programs.header import ProgramHeader
from toolbox.restorer import Restorer
from toolbox.weights.file import metadata_of

FORMATS = {"onnx": ".onnx", "pt2": ".pt2", "spandrel": ".safetensors"}
BY_SUFFIX = {".onnx": "onnx", ".pt2": "pt2"}  # a .safetensors file may be meant as a weights file


def format_for(path: Path, name: str | None) -> str:
    """The format of a name in FORMATS, or of the path's suffix.

    Raises:
        SpecError: neither names a format.
    """
    if name is None:
        name = BY_SUFFIX.get(path.suffix.lower(), path.suffix.lower().removeprefix("."))
    if name not in FORMATS:
        suffixes, names = " or ".join(BY_SUFFIX), " or ".join(FORMATS)
        raise SpecError(f"got the format {name!r}, expected a file that ends with {suffixes}, or --to {names}")
    return name


def export(
    restorer: Restorer,
    path: Path,
    request: ExportRequest,
    *,
    to: str | None = None,
    opset: int = OPSETS[0],
    license_: str | None = None,
    compiles: bool = False,
) -> ProgramHeader:
    """Write the network as a program with one float input, (B, C, H, W) in [0, 1], and one output, not clamped.

    For spandrel it is a file of weights with their spec, which ``toolbox.integrations.spandrel`` makes loadable.

    Args:
        restorer: the network; its type is that of the program.
        path: the file to write.
        request: the sizes that the program takes and gives.
        to: the format, one of FORMATS; by default the suffix decides.
        opset: version of ONNX's operations.
        license_: the license of the weights, for the metadata.
        compiles: add machine code for this kind of processor to a .pt2 file.

    Raises:
        SpecError: the network does not do these sizes, or a part of it cannot be exported or compiled.
        WeightsError: the file cannot be written, or there is no compiler.
    """
    kind = format_for(path, to)
    if restorer.runs_whole:
        raise SpecError("got a network that is a program already; export the weights file that it comes from")
    if not path.parent.is_dir():
        raise WeightsError(f"{path}: the folder {path.parent} does not exist; create it first")
    header = request.header(restorer, license_)
    if kind == "spandrel":
        check_spandrel(restorer, path, header)
        texts = metadata_of(restorer, path)
        with _written(path) as partial:
            write_spandrel(restorer.eval(), partial, header, texts)
        return header
    program = traced(restorer.eval(), header)
    header = dataclasses.replace(header, memory=memory_of(program, header))
    texts = metadata_of(restorer, path) | header.texts()
    model, data = None, b""
    if kind == "onnx":
        model = to_onnx(restorer, program, inputs_of(restorer, header), opset)
        if header.scale != "any":
            state_scale(model, header.scale)
    else:
        data = _as_pt2(program, texts, compiled_files(program, texts) if compiles else None)
    with _written(path) as partial:
        if model is None:
            partial.write_bytes(data)
        else:
            write_onnx(model, partial, texts)
    return header


@contextmanager
def _written(path: Path) -> Iterator[Path]:
    """A file beside the path, which takes its name in the end."""
    try:
        with written_beside(path) as partial:
            yield partial
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise WeightsError(f"{path}: cannot be written: {reason}") from None


def _as_pt2(program: ExportedProgram, texts: Mapping[str, str], compiled: Any = None) -> bytes:
    """The bytes of a .pt2 file with texts as its extra files, and perhaps the files of a compiled program."""
    buffer = io.BytesIO()  # because PyTorch warns about a path of another suffix
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about weights that are channels last
            if compiled is None:
                torch.export.save(program, buffer, extra_files=dict(texts))
            else:
                _save_both(program, compiled, buffer, texts)
    except SerializeError as error:
        reason = str(error).split(" in graph", 1)[0]
        raise SpecError(
            f"PyTorch cannot write this program to .pt2 ({reason}); use an integer scale, --any-size, or .onnx"
        ) from error
    return buffer.getvalue()


def _save_both(program: ExportedProgram, compiled: Any, buffer: io.BytesIO, texts: Mapping[str, str]) -> None:
    """Write one archive from which torch.export loads the program, and AOTInductor the library."""
    from torch.export.pt2_archive._package import package_pt2

    package_pt2(buffer, exported_programs=program, aoti_files=compiled, extra_files=dict(texts))
