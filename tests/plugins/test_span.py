"""SPAN against its published form, folded and in parts, and that it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import toolbox
from tests.learning import assert_learns
from tests.parts import restorer_of
from tests.plugins.published_span import span
from tests.weights.published import Arrays
from toolbox.errors import SpecError, WeightsError
from toolbox.images.engine.tiling import encode_in_tiles, exact_tiling
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest
from toolbox.weights.fold import folded

MEAN = torch.tensor([0.4488, 0.4371, 0.404]).view(1, 3, 1, 1)
SPAN = {
    "channels": 3,
    "encoder": {"name": "span", "channels": 8, "blocks": 2},
    "decoder": {"name": "pixel-shuffle-direct", "scale": 2},
}


def published(arrays: Arrays, image: Tensor, scale: int) -> Tensor:
    """SPAN in training mode, in published names: (B, 3, H, W) in [0, 1] → (B, 3, s·H, s·W)."""
    weights = {name: torch.from_numpy(value) for name, value in arrays.items()}

    def conv(name: str, x: Tensor, padding: int = 0) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding)

    def expanded(name: str, x: Tensor) -> Tensor:
        inner = F.pad(x, (1, 1, 1, 1))
        for part in range(3):
            inner = conv(f"{name}.conv.{part}", inner)
        return inner + conv(f"{name}.sk", x)

    shallow = expanded("conv_1", (image - MEAN) * 255)
    features, results = shallow, []
    number = 1
    while f"block_{number}.c1_r.sk.weight" in arrays:
        first = F.silu(expanded(f"block_{number}.c1_r", features))  # in place: the block gives it after the SiLU
        gathered = expanded(f"block_{number}.c3_r", F.silu(expanded(f"block_{number}.c2_r", first)))
        features = (gathered + features) * (torch.sigmoid(gathered) - 0.5)
        results.append(features)
        number += 1
    fused = conv("conv_cat", torch.cat((shallow, expanded("conv_2", features), results[0], first), 1))
    return F.pixel_shuffle(conv("upsampler.0", fused, padding=1), scale)


@pytest.mark.parametrize("form", ["training", "folded"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_converted_checkpoint_gives_what_the_published_algorithm_does(scale: int, form: str) -> None:
    arrays = span(scale).arrays
    restorer = toolbox.convert(arrays, form=form)
    image = torch.rand(2, 3, 6, 7)
    expected = published(arrays, image, scale)
    with torch.no_grad():
        assert (restorer(image) - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert restorer.spec.encoder.config.form == form


def test_a_checkpoint_is_folded_unless_it_shall_be_trained() -> None:
    arrays = span().arrays
    parts, whole = toolbox.convert(arrays, form="training"), toolbox.convert(arrays)
    assert whole.spec.encoder.config.form == "folded"
    for key, tensor in folded(parts).state_dict().items():
        torch.testing.assert_close(tensor, whole.state_dict()[key])


@pytest.mark.parametrize("part", ["block_2.c3_r.sk.bias", "conv_2.conv.1.weight", "conv_cat.weight"])
@pytest.mark.parametrize("form", ["training", "folded"])
def test_half_a_checkpoint_is_refused(part: str, form: str) -> None:
    arrays = {name: value for name, value in span().arrays.items() if name != part}
    with pytest.raises(WeightsError, match=rf"missing {part}"):
        toolbox.convert(arrays, form=form)


def test_an_upsampler_of_no_scale_is_refused() -> None:
    arrays = dict(span().arrays)
    arrays["upsampler.0.weight"] = arrays["upsampler.0.weight"][:11]
    with pytest.raises(WeightsError, match=r"gives 11 channels, expected 3 times 4, 9, 16 or 64"):
        toolbox.convert(arrays)


@pytest.mark.parametrize(("name", "expected"), [("span-x2", 481_324), ("span-x4", 498_208)])
def test_folded_the_catalog_s_networks_have_the_published_size(name: str, expected: int) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name, encoder={"form": "folded"})
    assert sum(parameter.numel() for parameter in restorer.parameters()) == expected


def test_a_feature_sees_as_far_as_all_convolutions() -> None:
    restorer = restorer_of(SPAN)
    assert restorer.spec.encoder.config.receptive_field() == 8
    assert farthest(restorer.encode, torch.rand(1, 3, 20, 4, dtype=torch.float64)) == 8


@pytest.mark.parametrize("form", ["training", "folded"])
def test_tiles_have_the_features_of_the_whole_picture(form: str) -> None:
    restorer = restorer_of({**SPAN, "encoder": {**dict[str, Any](SPAN["encoder"]), "form": form}})  # type: ignore[call-overload]
    image = torch.rand(1, 3, 51, 33, dtype=torch.float64)
    with torch.no_grad():
        tiles = encode_in_tiles(restorer, image, exact_tiling(restorer.spec.encoder.config, 9), lambda: None)
        torch.testing.assert_close(tiles, restorer.encode(image))


def test_it_learns_in_fifty_steps() -> None:
    assert_learns(SPAN, scale=2)


def test_after_training_it_folds_to_the_same_network() -> None:
    restorer = restorer_of(SPAN).float()
    image = torch.rand(1, 3, 9, 8)
    with torch.no_grad():
        difference = (folded(restorer)(image) - restorer(image)).abs().max()
        assert difference <= 1e-5 * restorer(image).abs().max()
    assert np.prod(folded(restorer).encoder.head.weight.shape) == 8 * 3 * 9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "fast"}, r"^encoder\.form: got 'fast', expected 'training' or 'folded'"),
        ({"blocks": 1}, r"^encoder\.blocks: got 1, expected greater than or equal to 2"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 3, "encoder": {"name": "span", **settings}, "decoder": "conv"})
