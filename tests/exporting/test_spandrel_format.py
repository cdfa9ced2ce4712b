"""Files for spandrel: its loader gives what the network gives, and a sentence says what does not fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import toolbox
from tests.parts import architecture, restorer_of
from toolbox.errors import SpecError, WeightsError
from toolbox.exporting.export import export
from toolbox.exporting.request import ExportRequest
from toolbox.programs.one_scale import TEXTS, read_one_scale
from toolbox.weights.file import read_metadata

ANY = architecture("edsr", "local-ensemble")
FIXED = architecture("edsr", "pixel-shuffle")
SAME = architecture("edsr", "residual-conv")
GRAY = architecture("edsr", "residual-conv", channels=1)

# A program of somebody else: Toolbox is there, and only its installer is called.
PROGRAM = """
import sys
import torch
from spandrel import MAIN_REGISTRY, ModelLoader
from toolbox.integrations.spandrel import install

install()
install()
assert [each.architecture.id for each in MAIN_REGISTRY].count("Toolbox") == 1
model = ModelLoader().load_from_file(sys.argv[1])
image = torch.load(sys.argv[2], weights_only=True)
facts = model.scale, model.input_channels, model.output_channels, model.purpose, model.architecture.id
half = model.model(image) if model.dtype == torch.float32 else None
torch.save((facts, model(image), half), sys.argv[3])
"""


@pytest.mark.parametrize(
    ("spec", "scale", "purpose"),
    [(ANY, 2, "SR"), (FIXED, None, "SR"), (SAME, None, "Restoration"), (GRAY, None, "Restoration")],
    ids=["any", "fixed", "same", "gray"],
)
def test_spandrel_s_loader_gives_what_the_network_gives(
    spec: Any, scale: int | None, purpose: str, tmp_path: Path
) -> None:
    pytest.importorskip("spandrel")
    restorer = restorer_of(spec).float().eval()
    image, path = torch.rand(1, 3, 21, 17), tmp_path / "network.safetensors"
    export(restorer, path, ExportRequest(scale), to="spandrel")
    torch.save(image, tmp_path / "image.pt")
    command = [sys.executable, "-c", PROGRAM, str(path), str(tmp_path / "image.pt"), str(tmp_path / "restored.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    facts, clamped, restored = torch.load(tmp_path / "restored.pt", weights_only=True)
    with torch.no_grad():
        if restorer.channels == 1:
            expected = torch.cat([restorer(color) for color in image.split(1, 1)], 1)
        else:
            expected = restorer(image, scale=scale)
    assert facts == (expected.shape[-1] // 17, 3, 3, purpose, "Toolbox")
    torch.testing.assert_close(restored.detach(), expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(clamped, expected.clamp(0, 1), atol=1e-6, rtol=0)


def test_toolbox_takes_the_file_too_at_any_scale_again(tmp_path: Path) -> None:
    restorer, image = restorer_of(ANY).float().eval(), torch.rand(1, 3, 9, 8)
    export(restorer, tmp_path / "double.safetensors", ExportRequest(2), to="spandrel")
    again = toolbox.load(tmp_path / "double.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(again(image, scale=3.5), restorer(image, scale=3.5))


def test_the_header_tells_other_programs_what_the_file_is(tmp_path: Path) -> None:
    restorer = restorer_of(ANY).float()
    restorer.training_record = {"author": "Ada", "license": "CC-BY-4.0"}
    export(restorer, tmp_path / "double.safetensors", ExportRequest(2), to="spandrel")
    texts = read_metadata(tmp_path / "double.safetensors")
    assert (texts["modelspec.author"], texts["modelspec.license"]) == ("Ada", "CC-BY-4.0")


@pytest.mark.parametrize(
    ("spec", "request_", "name", "sentence"),
    [
        (ANY, ExportRequest(2.5), "x.safetensors", r"not one integer scale, which spandrel needs; give --scale 2"),
        (ANY, ExportRequest((2, 3)), "x.safetensors", r"not one integer scale"),
        (ANY, ExportRequest(any_size=True), "x.safetensors", r"not one integer scale"),
        (ANY, ExportRequest(2, tile=64), "x.safetensors", r"^got --tile for spandrel, .* leave it out$"),
        (ANY, ExportRequest(2), "x.pth", r"^got x\.pth for spandrel, expected a file that ends with \.safetensors$"),
        ({**SAME, "conditions": {"sigma": {}}}, ExportRequest(), "x.safetensors", r"needs sigma beside the picture"),
        (architecture("edsr", "residual-conv", channels=4), ExportRequest(), "x.safetensors", r"4 to 4 channels"),
        (
            {"channels": 3, "encoder": "identity", "decoder": "bicubic"},
            ExportRequest(2),
            "x.safetensors",
            r"no weights|without weights",
        ),
    ],
)
def test_what_spandrel_cannot_load_is_refused(
    spec: Any, request_: ExportRequest, name: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=sentence):
        export(restorer_of(spec).float(), tmp_path / name, request_, to="spandrel")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (torch.zeros(3, dtype=torch.uint8), r"does not hold the texts of a network; export it again"),
        (torch.zeros(3), r"does not hold the texts"),
        (torch.frombuffer(bytearray(b"[" * 99_999), dtype=torch.uint8), r"does not hold the texts"),
        (torch.frombuffer(bytearray(b"{}"), dtype=torch.uint8), r"^got 'None' for toolbox\.scale, expected an integer"),
        (torch.frombuffer(bytearray(b'{"toolbox.scale": "999"}'), dtype=torch.uint8), r"^got '999' for toolbox\.scale"),
        (torch.frombuffer(bytearray(b'{"toolbox.scale": "2"}'), dtype=torch.uint8), r"no spec in its header"),
    ],
)
def test_wrong_texts_are_refused(texts: torch.Tensor, sentence: str) -> None:
    with pytest.raises(WeightsError, match=sentence):
        read_one_scale({TEXTS: texts})


def test_tensors_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "double.safetensors"
    export(restorer_of(ANY).float(), path, ExportRequest(2), to="spandrel")
    tensors = load_file(path)
    del tensors["network.encoder.head.bias"]
    with pytest.raises(WeightsError, match=r"do not fit their spec: missing encoder\.head\.bias$"):
        read_one_scale(tensors)
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"as toolbox-spandrel: .*encoder\.head\.bias"):
        toolbox.load(path)
