"""The public calls together, as a user makes them: build, save, load, convert, restore, list."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import toolbox
from tests.parts import DECODERS, ENCODERS, FITS_ANY, architecture, fits
from tests.weights import published
from toolbox.resolve import resolve

NET: dict[str, Any] = {
    "channels": 3,
    "encoder": {"name": "rdn", "channels": 4, "blocks": 1, "layers": 2, "growth": 3},
    "decoder": {"name": "dual-interactive", "hidden": [5, 5]},
}


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        ("build", ["name_or_spec", "registries", "overrides"]),
        ("load", ["path_or_name", "registries"]),
        ("save", ["restorer", "path"]),
        ("convert", ["source", "format", "hints"]),
        ("inspect", ["image"]),
        (
            "restore",
            [
                *("image", "model", "scale", "size", "output", "strength", "max_memory", "halo", "progress"),
                "conditions",
            ],
        ),
        (
            "evaluate",
            [
                *("models", "data", "protocol", "sigma", "quality", "low", "scales", "metrics", "results"),
                *("save", "sheet", "workers", "on_score", "registries"),
            ],
        ),
        ("list_components", ["kind"]),
        ("list_architectures", []),
    ],
)
def test_a_public_call_takes_what_is_documented(call: str, parameters: list[str]) -> None:
    function = getattr(toolbox, call)
    assert list(inspect.signature(function).parameters) == parameters
    assert inspect.getdoc(function)


def test_from_a_spec_to_a_better_picture(tmp_path: Path) -> None:
    restorer = toolbox.build(NET)
    toolbox.save(restorer, tmp_path / "net.safetensors")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8))
    restored = toolbox.restore(picture, tmp_path / "net.safetensors", scale=2.5)
    assert restored.size == (18, 15)
    again = toolbox.restore(picture, toolbox.load(tmp_path / "net.safetensors"), size=(15, 18))
    assert np.array_equal(np.asarray(again), np.asarray(restored))


def test_from_a_published_checkpoint_to_a_better_picture(tmp_path: Path) -> None:
    case = published.edsr()
    toolbox.save(toolbox.convert(case.arrays), tmp_path / "edsr.safetensors")
    picture = np.random.default_rng(0).random((6, 7, 3), dtype=np.float32)
    restored = toolbox.restore(picture, tmp_path / "edsr.safetensors")
    with torch.inference_mode():
        expected = case.restorer(torch.from_numpy(picture).permute(2, 0, 1)[None])
    np.testing.assert_allclose(restored, expected[0].permute(1, 2, 0).clamp(0, 1), atol=1e-6)


# Building.


def test_a_network_is_built_from_whatever_describes_it(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(yaml.safe_dump(NET), encoding="utf-8")
    spec = toolbox.build(NET).spec
    for description in (spec, path, str(path), spec.model_dump(), spec.model_dump(mode="json")):
        assert toolbox.build(description).spec == spec


def test_a_network_of_the_catalog_is_changed_where_it_is_said() -> None:
    with torch.device("meta"):
        plain = toolbox.build("nlrn").spec
        changed = toolbox.build("nlrn", encoder={"steps": 2}, summary="shorter").spec
    assert changed.summary == "shorter"
    before, after = plain.encoder.to_data(), changed.encoder.to_data()
    assert (before.pop("steps"), after.pop("steps")) == (12, 2)
    assert before == after


# Each encoder and each decoder; tests/test_restorer.py runs all pairs.
HYBRIDS = [(encoder, FITS_ANY) for encoder in ENCODERS]
HYBRIDS += [("edsr", decoder) for decoder in DECODERS if decoder != FITS_ANY and fits("edsr", decoder)]


@pytest.mark.parametrize(("encoder", "decoder"), HYBRIDS)
def test_a_hybrid_that_nobody_listed_is_built_and_run(encoder: str, decoder: str) -> None:
    restorer = toolbox.build(architecture(encoder, decoder, channels=3)).eval()
    image = torch.rand(2, 3, 6, 5)
    factor = restorer.sizes if isinstance(restorer.sizes, int) else 1
    size = (9, 11) if restorer.sizes == "any" else (6 * factor, 5 * factor)
    with torch.inference_mode():
        output = restorer(image, size=size)
    assert output.shape == (2, 3, *size)
    assert output.isfinite().all()


# Calling.


def test_a_restorer_is_called_with_a_size_a_scale_or_neither() -> None:
    restorer, image = toolbox.build(NET).eval(), torch.rand(1, 3, 6, 5)
    with torch.inference_mode():
        assert torch.equal(restorer(image, size=(15, 13)), restorer(image, scale=2.5))
        assert torch.equal(restorer(image, size=(12, 5)), restorer(image, scale=(2, 1)))
        assert torch.equal(restorer(image, size=(6, 5)), restorer(image))


def test_a_restorer_does_not_clamp() -> None:
    image = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 3, 4, 4)
    output = toolbox.build("bicubic")(image, scale=3)
    assert output.min() < 0
    assert output.max() > 1


# Listing.


def test_what_is_listed_is_what_builds() -> None:
    for info in toolbox.list_architectures():
        assert info.name
        assert info.summary
        assert resolve(info.spec) == resolve(info.name)  # tests/test_catalog.py builds each
    assert {info.name for info in toolbox.list_components("encoder")} <= {
        info.name for info in toolbox.list_components()
    }


# Failing.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: toolbox.build("nlnr"), r"^unknown architecture 'nlnr'; did you mean 'nlrn'"),
        (lambda: toolbox.build("none.yaml"), r"^none\.yaml: cannot be read: No such file or directory$"),
        (lambda: toolbox.build({}), r"^channels: missing; this key is required; encoder: missing"),
        (lambda: toolbox.build({**NET, "chanels": 3}), r"^chanels: unknown key; did you mean 'channels'\?$"),
        (lambda: toolbox.build(NET, decoder="features"), r"^decoder: features got 4 channels, expected 3"),
        (lambda: toolbox.build(NET, decoder={"name": "bicubik"}), r"^decoder\.name: unknown decoder 'bicubik'; did"),
        (lambda: toolbox.load("none.safetensors"), r"^none\.safetensors: no such weights file$"),
        (lambda: toolbox.save(toolbox.build("bicubic"), "none/it.safetensors"), r"^none/it\.safetensors: cannot be w"),
        (lambda: toolbox.convert("none.pth"), r"^none\.pth: cannot be read: No such file or directory$"),
        (lambda: toolbox.convert({}), r"^the given tensors: holds no named tensors"),
        (lambda: toolbox.convert({"a": np.zeros(3)}), r"^the given tensors: its names fit no known format"),
        (lambda: toolbox.restore("none.png", "bicubic"), r"^none\.png: cannot be read: No such file or directory$"),
        (lambda: toolbox.restore(np.zeros((4, 4)), "nlnr"), r"^unknown architecture 'nlnr'"),
        (lambda: toolbox.build("bicubic")(torch.zeros(3, 4, 4)), r"^got torch\.float32 of shape \(3, 4, 4\), expected"),
        (lambda: toolbox.build("bicubic")(torch.zeros(1, 3, 4, 4), scale=0), r"^got scale 0, expected a positive"),
    ],
)
def test_every_failure_is_a_toolbox_error_of_one_sentence(
    call: Callable[[], object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(toolbox.ToolboxError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_join_that_does_not_fit_is_refused_before_any_tensor_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a layer was made")

    monkeypatch.setattr(torch.nn.Conv2d, "__init__", never)
    encoder = {"name": "edsr", "channels": 4096, "blocks": 1000}
    with pytest.raises(toolbox.ToolboxError, match=r"^decoder: bicubic got 4096 channels, expected an image of 3"):
        toolbox.build({"channels": 3, "encoder": encoder, "decoder": "bicubic"})
