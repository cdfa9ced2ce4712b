"""Networks folded for use: the same results from fewer tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

import toolbox
from tests.parts import restorer_of
from tests.training.runs import recipe_of, write_pictures
from toolbox.training.card import finish
from toolbox.training.loop import CHECKPOINT, train
from toolbox.weights.file import read_header
from toolbox.weights.fold import folded

SPAN = {"name": "span", "channels": 4, "blocks": 2}


def span(encoder: Any, **more: Any) -> dict[str, Any]:
    return {"channels": 3, "encoder": encoder, "decoder": "conv", **more}


@pytest.mark.parametrize(
    "encoder",
    [
        SPAN,
        {"name": "pixel-unshuffle", "factor": 2, "encoder": SPAN},
        {"name": "parallel", "encoders": [SPAN, {"name": "edsr", "channels": 4, "blocks": 1}]},
        {"name": "recurrent", "steps": 2, "transition": {"name": "encoder", "channels": 4, "encoder": SPAN}},
    ],
    ids=["alone", "inside", "beside", "repeated"],
)
def test_a_folded_network_computes_the_same(encoder: Any, tmp_path: Path) -> None:
    restorer = restorer_of(span(encoder))
    network = folded(restorer)
    image = torch.rand(2, 3, 8, 6, dtype=torch.float64)
    torch.testing.assert_close(network(image), restorer(image))
    assert len(network.state_dict()) < len(restorer.state_dict())
    assert not network.training
    toolbox.save(network, tmp_path / "folded.safetensors")
    torch.testing.assert_close(toolbox.load(tmp_path / "folded.safetensors")(image), restorer(image))


def test_it_has_the_training_record_and_the_type_of_the_network() -> None:
    restorer = restorer_of(span(SPAN)).bfloat16()
    restorer.training_record = {"data": "photos"}
    network = folded(restorer)
    assert network.training_record == {"data": "photos"}
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.bfloat16}


def test_a_network_that_has_nothing_to_fold_is_returned_itself() -> None:
    restorer = restorer_of(span("identity"))
    assert folded(restorer) is restorer
    network = folded(restorer_of(span(SPAN)))
    assert folded(network) is network


def test_a_run_trains_the_parts_and_writes_the_folded_network(tmp_path: Path) -> None:
    recipe = recipe_of(write_pictures(tmp_path / "data"), model=span(SPAN), budget={"steps": 2}, trackers=[])
    trained = train(recipe, tmp_path, "run")
    assert trained is not None
    finish(trained, "run")
    header = read_header(tmp_path / "run.safetensors")
    assert header.spec["encoder"]["form"] == "folded"
    assert "encoder.head.weight" in header.shapes
    with safe_open(tmp_path / CHECKPOINT, "pt") as file:
        kept = list(file.keys())
    assert any(key.endswith("encoder.head.expand.weight") for key in kept)
    image = torch.rand(1, 3, 7, 6)
    with torch.no_grad():
        torch.testing.assert_close(
            toolbox.load(tmp_path / "run.safetensors")(image), trained.run.average.module.eval()(image)
        )
