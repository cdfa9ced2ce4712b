"""Exported programs give what the network gives, at any size, and say what a runtime must know."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import toolbox
from tests.parts import BUILT_IN, architecture, restorer_of
from tests.test_downstream import FAMILIES
from toolbox.config import EncoderConfig
from toolbox.discovery import installed
from toolbox.errors import SpecError, WeightsError
from toolbox.exporting.export import export
from toolbox.exporting.onnx_format import to_onnx
from toolbox.exporting.request import ExportRequest
from toolbox.exporting.trace import inputs_of, traced
from toolbox.records import ComponentInfo
from toolbox.restorer import Restorer
from toolbox.testing.subject import subject

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

SIZES = ((1, 17, 23), (1, 32, 30), (2, 21, 13), (1, 9, 35), (3, 40, 11))  # batch, height, width
CLOSE = 1e-4  # of the largest value
SHIPPED = [info.name for info in installed().architectures if info.weights is not None and info.provider in BUILT_IN]


def with_block(name: str) -> dict[str, Any]:
    """EDSR with a non-local block after its residual block."""
    info = installed().component(("nonlocal-block",), name)
    return {
        "name": "edsr",
        "channels": 4,
        "blocks": 1,
        "nonlocal_after": [0],
        "nonlocal": {"name": name, **info.example},
    }


def feedback() -> dict[str, Any]:
    info = installed().component(("transition",), "feedback")
    return {"name": "recurrent", "steps": 3, "collect": "concat", "transition": {"name": "feedback", **info.example}}


NEWER: dict[str, dict[str, Any]] = {  # those that FAMILIES lacks
    "nlsn": architecture(with_block("nlsa"), "pixel-shuffle"),
    "enlcn": architecture(with_block("enlca"), "pixel-shuffle"),
    "panet": architecture("panet", "pixel-shuffle"),
    "csnln": architecture("convolutions", "self-exemplars"),
    "cross-scale": architecture(with_block("cross-scale"), "pixel-shuffle"),
    "rnan": architecture("rnan", "conv"),
    "restormer": architecture("restormer", "conv", global_skip="bilinear"),
    "mdta-liif": architecture(with_block("mdta"), "local-ensemble"),
    "span": architecture("span", "pixel-shuffle-direct"),
    "feedback": architecture(feedback(), "mixed-states"),
    "thera-refined": architecture("convnext-refinement", "heat-field", global_skip="nearest"),
}
DENOISER = architecture("edsr", "residual-conv", conditions={"sigma": {"unit": 255}})


def session_of(model: Any) -> Any:
    data = model if isinstance(model, (str, bytes, Path)) else model.SerializeToString()
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def converted(restorer: Restorer, request: ExportRequest) -> Any:
    header = request.header(restorer)
    return to_onnx(restorer, traced(restorer, header), inputs_of(restorer, header))


def same_in_onnx(session: Any, restorer: Restorer, image: Tensor, inputs: dict[str, Any], **asked: Any) -> None:
    with torch.no_grad():
        expected = restorer(image, **asked).numpy()
    (restored,) = session.run(None, {"image": image.numpy(), **inputs})
    assert restored.shape == expected.shape
    assert np.abs(restored - expected).max() <= CLOSE * np.abs(expected).max()
    assert np.abs(levels(restored) - levels(expected)).max() <= 1


def levels(image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The integers that a file of 8 bits has."""
    return np.round(image.clip(0, 1) * 255).astype(int)


@pytest.mark.parametrize("name", [*FAMILIES, *NEWER])
def test_onnx_runtime_gives_what_the_network_gives(name: str) -> None:
    same_at_every_size(restorer_of((FAMILIES | NEWER)[name]).float())


@pytest.mark.parametrize("name", SHIPPED)
def test_onnx_runtime_gives_what_a_shipped_network_gives(name: str) -> None:
    same_at_every_size(toolbox.load(name))


def same_at_every_size(restorer: Restorer) -> None:
    takes_a_size = restorer.sizes == "any"
    session = session_of(converted(restorer, ExportRequest(any_size=takes_a_size)))
    for batch, height, width in SIZES:
        image, (down, across) = torch.rand(batch, restorer.channels, height, width), (2 * height + 1, width + 5)
        if takes_a_size:
            inputs = {"height": np.array(down), "width": np.array(across)}
            same_in_onnx(session, restorer, image, inputs, size=(down, across))
        else:
            same_in_onnx(session, restorer, image, {})


@pytest.mark.parametrize("scale", [3, 2.5, (2.0, 1.5)])
def test_a_scale_is_baked_in(scale: Any) -> None:
    restorer = restorer_of(FAMILIES["liif"]).float()
    session = session_of(converted(restorer, ExportRequest(scale)))
    for batch, height, width in SIZES:
        same_in_onnx(session, restorer, torch.rand(batch, 3, height, width), {}, scale=scale)


def test_a_condition_is_an_input_for_each_picture() -> None:
    restorer = restorer_of(DENOISER).float()
    session = session_of(converted(restorer, ExportRequest()))
    image, sigma = torch.rand(2, 3, 12, 9), torch.tensor([5.0, 50.0])
    same_in_onnx(session, restorer, image, {"sigma": sigma.numpy()}, sigma=sigma)


def test_the_shipped_network_with_windowed_attention_is_a_small_graph() -> None:
    restorer = toolbox.load("nlrn-lite")
    model = converted(restorer, ExportRequest())
    assert len(model.graph.node) <= 300
    same_in_onnx(session_of(model), restorer, torch.rand(1, 1, 31, 45), {})


@pytest.mark.parametrize(
    ("name", "request_", "scale"),
    [
        ("edsr", ExportRequest(), 2),
        ("nlrn-lite", ExportRequest(), 1),
        ("swinir", ExportRequest(), 2),
        ("liif", ExportRequest(3), 3),
        ("diinn-lite", ExportRequest(2), 2),
        ("edsr", ExportRequest(tile=64), 2),
    ],
)
def test_chainner_finds_the_scale(name: str, request_: ExportRequest, scale: int, tmp_path: Path) -> None:
    """It gives the input a size, and infers that of the output without running anything."""
    onnx = pytest.importorskip("onnx")
    network = restorer_of(FAMILIES[name]).float()
    export(network, tmp_path / "net.onnx", request_)
    if request_.tile is None:
        asked = {} if request_.scale is None else {"scale": request_.scale}
        same_in_onnx(session_of(tmp_path / "net.onnx"), network, torch.rand(2, network.channels, 19, 14), {}, **asked)
    model = onnx.load(tmp_path / "net.onnx")
    assert (len(model.graph.input), len(model.graph.output)) == (1, 1)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert shape[1].dim_value == 1 or shape[1].dim_value == 3  # so that it knows the order of axes
    for dimension, length in zip(
        shape, (1, shape[1].dim_value, shape[2].dim_value or 16, shape[3].dim_value or 16), strict=True
    ):
        dimension.dim_value = length
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.output[0].type.tensor_type.shape.dim
    assert [each.dim_value for each in inferred[2:]] == [scale * each.dim_value for each in shape[2:]]


def test_every_size_has_a_name() -> None:
    model = converted(restorer_of(FAMILIES["edsr"]).float(), ExportRequest())
    shapes = [
        [each.dim_param or each.dim_value for each in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert shapes[0] == ["batch", 3, "height", "width"]
    assert shapes[1][:2] == ["batch", 3]
    assert ["height" in str(shapes[1][2]), "width" in str(shapes[1][3])] == [True, True]
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["image", "restored"]


@pytest.fixture
def restorer() -> Restorer:
    return restorer_of(FAMILIES["diinn-lite"]).float()


def test_the_metadata_tell_a_runtime_how_to_cut_a_picture(tmp_path: Path) -> None:
    shuffled = restorer_of(FAMILIES["nlrn-lite"]).float()
    export(shuffled, tmp_path / "net.onnx", ExportRequest(), license_="CC0-1.0")
    texts = session_of(tmp_path / "net.onnx").get_modelmeta().custom_metadata_map
    assert texts.pop("modelspec.license") == "CC0-1.0"
    assert [key for key in texts if "license" in key] == []
    assert json.loads(texts["toolbox.spec"]) == json.loads(shuffled.spec.to_json())
    facts = {
        key: json.loads(texts[f"toolbox.{key}"]) for key in ("scale", "receptive_field", "halo", "alignment", "tile")
    }
    field = shuffled.receptive_field
    assert field is not None
    assert facts == {"scale": 1.0, "receptive_field": field, "halo": field + field % 2, "alignment": 2, "tile": None}
    memory, more = json.loads(texts["toolbox.memory"])
    assert (memory > 3 * 4, more) == (True, 0)


def test_an_exported_program_of_pytorch_gives_the_same(restorer: Restorer, tmp_path: Path) -> None:
    export(restorer, tmp_path / "net.pt2", ExportRequest(2))
    extra = {"toolbox.scale": ""}
    program = torch.export.load(tmp_path / "net.pt2", extra_files=extra)
    image = torch.rand(2, 3, 13, 21)
    torch.testing.assert_close(program.module()(image), restorer(image, scale=2), atol=1e-5, rtol=1e-5)
    assert json.loads(extra["toolbox.scale"]) == 2


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_a_compiled_program_gives_the_same_at_other_sizes(tmp_path: Path) -> None:
    network = restorer_of(FAMILIES["edsr"]).float()
    export(network, tmp_path / "net.pt2", ExportRequest(), compiles=True)
    compiled = torch._inductor.aoti_load_package(str(tmp_path / "net.pt2"))
    assert json.loads(compiled.get_metadata()["toolbox.scale"]) == 2
    extra = {"toolbox.scale": ""}
    program = torch.export.load(tmp_path / "net.pt2", extra_files=extra).module()
    assert json.loads(extra["toolbox.scale"]) == 2
    for batch, height, width in SIZES:
        image = torch.rand(batch, 3, height, width)
        with torch.no_grad():
            expected = network(image)
            for each in (compiled, program):
                torch.testing.assert_close(each(image), expected, atol=1e-5, rtol=1e-5)


def test_a_compiled_program_takes_no_numbers(restorer: Restorer, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"got --compile with --any-size, .*; give --scale instead"):
        export(restorer, tmp_path / "net.pt2", ExportRequest(any_size=True), compiles=True)
    assert not list(tmp_path.iterdir())


def test_a_program_that_pytorch_cannot_write_is_refused(restorer: Restorer, tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"PyTorch cannot write this program to .pt2 .*; use an integer scale, --any-size"
    ):
        export(restorer, tmp_path / "net.pt2", ExportRequest(2.5))
    assert not list(tmp_path.iterdir())


def test_half_precision_is_that_of_input_and_output(restorer: Restorer, tmp_path: Path) -> None:
    export(restorer.half(), tmp_path / "net.onnx", ExportRequest(2))
    session = session_of(tmp_path / "net.onnx")
    assert [each.type for each in (*session.get_inputs(), *session.get_outputs())] == ["tensor(float16)"] * 2
    image = torch.rand(1, 3, 10, 12)
    (restored,) = session.run(None, {"image": image.half().numpy()})
    with torch.no_grad():
        expected = restorer.float()(image, scale=2).numpy()
    assert np.abs(restored - expected).max() <= 0.01 * np.abs(expected).max()


@pytest.mark.parametrize(("opset", "given"), [(18, 18), (21, 21)])
def test_the_opset_is_the_one_asked_for(restorer: Restorer, opset: int, given: int, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    export(restorer, tmp_path / "net.onnx", ExportRequest(2), opset=opset)
    assert onnx.load(tmp_path / "net.onnx").opset_import[0].version == given


REFUSED: dict[str, tuple[str, ExportRequest, str]] = {
    "no size": ("liif", ExportRequest(), r"got no size for a network of any size; give --scale 2, or --any-size"),
    "any size of one size": ("edsr", ExportRequest(any_size=True), r"decoder 'pixel-shuffle' does not do any size"),
    "two sizes": ("liif", ExportRequest(2, any_size=True), r"got --scale and --any-size, expected one of them"),
    "another scale": ("edsr", ExportRequest(3), r"but decoder 'pixel-shuffle' expected scale"),
    "a tile of any size": ("liif", ExportRequest(any_size=True, tile=64), r"got --tile without an integer scale"),
    "a tile of the whole": ("nlrn-whole", ExportRequest(tile=64), r"sees the whole picture, which cannot be cut"),
    "a small tile": (
        "nlrn-lite",
        ExportRequest(tile=4),
        r"got --tile 4, expected at least \d+, a multiple of 2, since",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_size_that_the_network_does_not_do_is_refused(case: str, tmp_path: Path) -> None:
    name, request, message = REFUSED[case]
    with pytest.raises(SpecError, match=message):
        export(restorer_of(FAMILIES[name]), tmp_path / "net.onnx", request)
    assert not list(tmp_path.iterdir())


def test_another_format_opset_or_folder_is_refused(restorer: Restorer, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"got the format 'tflite', expected a file that ends with .onnx or .pt2"):
        export(restorer, tmp_path / "net.tflite", ExportRequest(2))
    with pytest.raises(SpecError, match="got opset 9, expected 18 to 23"):
        export(restorer, tmp_path / "net.onnx", ExportRequest(2), opset=9)
    with pytest.raises(WeightsError, match=r"net.onnx: the folder .* does not exist; create it first"):
        export(restorer, tmp_path / "missing" / "net.onnx", ExportRequest(2))


class Config(EncoderConfig):
    """Settings of an encoder that cannot be exported."""

    by_values: bool

    def out_channels(self, channels: int) -> int:
        return channels

    def receptive_field(self) -> int | None:
        return 0


class Inner(nn.Module):
    """Branches on a value, or computes what ONNX has no operation for."""

    def __init__(self, by_values: bool) -> None:
        super().__init__()
        self.by_values = by_values

    def forward(self, image: Tensor) -> Tensor:
        if self.by_values:
            return image if image.mean() > 0 else -image
        return torch.lgamma(image)


class Encoder(nn.Module):
    """An encoder with a part inside."""

    def __init__(self, config: Config, channels: int) -> None:
        super().__init__()
        self.out_channels, self.inner = channels, Inner(config.by_values)

    def forward(self, image: Tensor) -> Tensor:
        return self.inner(image)


@pytest.mark.parametrize(
    ("by_values", "why"), [(True, "fails on sizes and values"), (False, "has an operation that ONNX lacks")]
)
def test_the_part_that_cannot_be_exported_is_named(by_values: bool, why: str, tmp_path: Path) -> None:
    info = ComponentInfo("encoder", "stubborn", Encoder, Config, summary="a test", paper="none: a test")
    restorer = subject(info, {"by_values": by_values}, None).restorer().float()
    message = "encoder 'stubborn' of plugin toolbox.testing cannot be exported: "
    message += rf"encoder\.inner \(Inner\) {why}"
    with pytest.raises(SpecError, match=message):
        export(restorer, tmp_path / "net.onnx", ExportRequest())
    assert not list(tmp_path.iterdir())
