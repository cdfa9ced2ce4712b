"""The rules about programs: a component works where there is no Python."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.export import Dim

from toolbox.exporting.onnx_format import to_onnx
from toolbox.exporting.request import ExportRequest
from toolbox.exporting.trace import inputs_of, traced
from toolbox.padding import alignment_of
from toolbox.testing.measure import compare_tensors
from toolbox.testing.subject import Subject

CLOSE = 1e-5  # a decoder may take positions for equal that are nearly so, and a program may not
CLOSE_IN_FLOAT32 = 1e-4
ONNX = ("onnx", "onnxscript", "onnxruntime")


def export(subject: Subject) -> None:
    """torch.export takes it for any batch, height and width, and the exported program gives the same."""
    restorer, aligned = subject.restorer(), alignment_of(subject.spec.encoder.config)
    asked = {"scale": 2} if restorer.sizes == "any" else {}
    shapes = {"image": {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}, **dict.fromkeys(asked)}
    seen = subject.image(2 * aligned + 6, 3 * aligned + 7, batch=2)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its own parts
        program = torch.export.export(restorer, (seen,), asked, dynamic_shapes=shapes, strict=False).module()
        for image, one in _images(subject):
            compare_tensors(program(image, **asked), restorer(image, **asked), one, "the network", CLOSE)


def onnx(subject: Subject) -> None:
    """ONNX Runtime, where it and onnx are installed, gives the same for any batch, height and width, in float32."""
    if not all(importlib.util.find_spec(package) for package in ONNX):
        return
    import onnxruntime

    restorer = subject.restorer().float()
    asked = {"scale": 2} if restorer.sizes == "any" else {}
    header = ExportRequest(asked.get("scale")).header(restorer)
    model = to_onnx(restorer, traced(restorer, header), inputs_of(restorer, header))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        for image, one in _images(subject):
            (answer,) = session.run(None, {"image": image.float().numpy()})
            expected = restorer(image.float(), **asked)
            compare_tensors(torch.from_numpy(answer), expected, f"in ONNX, {one}", "the network", CLOSE_IN_FLOAT32)


def _images(subject: Subject) -> Iterator[tuple[Tensor, str]]:
    """Pictures of other sizes than a trace sees, and what to call them."""
    aligned = alignment_of(subject.spec.encoder.config)
    for height, width, batch in ((3 * aligned + 8, 2 * aligned + 3, 1), (4 * aligned, 5 * aligned + 11, 3)):
        yield subject.image(height, width, batch), f"the program for {batch} pictures of {height}x{width}"
