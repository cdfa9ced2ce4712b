"""SRFBN, DRRN and DRCN: against their formulas, against published outputs, and that they learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import toolbox
from tests.golden_encoders import golden
from tests.learning import assert_learns
from tests.parts import decoder_of, restorer_of
from tests.plugins.published_feedback import srfbn
from tests.weights.published import Arrays
from toolbox.errors import SpecError, WeightsError
from toolbox.images.engine.tiling import encode_in_tiles, exact_tiling
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest

MEAN = torch.tensor([0.4488, 0.4371, 0.404]).view(1, 3, 1, 1)


def published(arrays: Arrays, image: Tensor, steps: int, scale: int) -> list[Tensor]:
    """SRFBN's images of all states, in published names: (B, 3, H, W) in 0 to 255 → (B, 3, s·H, s·W) for each."""
    weights = {name: torch.from_numpy(value) for name, value in arrays.items()}

    def prelu(name: str, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, weights[f"{name}.1.weight"] * x)

    def conv(name: str, x: Tensor, **more: Any) -> Tensor:
        return F.conv2d(x, weights[f"{name}.0.weight"], weights[f"{name}.0.bias"], **more)

    def deconv(name: str, x: Tensor) -> Tensor:
        kernel = weights[f"{name}.0.weight"]
        return prelu(name, F.conv_transpose2d(x, kernel, weights[f"{name}.0.bias"], stride=scale, padding=2))

    groups = sum(name.startswith("block.upBlocks") and name.endswith("0.weight") for name in arrays)
    shifted = image - 255 * MEAN
    enlarged = F.interpolate(shifted, scale_factor=scale, mode="bilinear", align_corners=False)
    stem = prelu("feat_in", conv("feat_in", prelu("conv_in", conv("conv_in", shifted, padding=1))))
    state, images = stem, []
    for _ in range(steps):
        first = torch.cat((stem, state), 1)
        low, high = [prelu("block.compress_in", conv("block.compress_in", first))], []
        for group in range(groups):
            lows = torch.cat(low, 1)
            if group:
                lows = prelu(name := f"block.uptranBlocks.{group - 1}", conv(name, lows))
            high.append(deconv(f"block.upBlocks.{group}", lows))
            highs = torch.cat(high, 1)
            if group:
                highs = prelu(name := f"block.downtranBlocks.{group - 1}", conv(name, highs))
            low.append(prelu(name := f"block.downBlocks.{group}", conv(name, highs, stride=scale, padding=2)))
        state = prelu("block.compress_out", conv("block.compress_out", torch.cat(low[1:], 1)))
        images.append(conv("conv_out", deconv("out", state), padding=1) + enlarged + 255 * MEAN)
    return images


@pytest.mark.parametrize(("scale", "groups"), [(2, 3), (3, 2), (4, 1), (8, 2)])
def test_every_state_is_decoded_as_in_the_published_algorithm(scale: int, groups: int) -> None:
    stored = srfbn(scale, groups)
    restorer = toolbox.convert(stored.arrays, steps=3)
    image = torch.rand(2, 3, 5, 6)
    expected = published(stored.arrays, 255 * image, 3, scale)
    with torch.no_grad():
        torch.testing.assert_close(255 * restorer(image), expected[-1], rtol=1e-5, atol=1e-3)
        torch.testing.assert_close(255 * restorer.train()(image), torch.cat(expected), rtol=1e-5, atol=1e-3)


def test_every_state_equals_the_published_code_s() -> None:
    case = golden("srfbn_x2")
    restorer = toolbox.convert(case.weights(), steps=case.meta["args"]["num_steps"])
    image = torch.from_numpy(case.input) / 255
    with torch.inference_mode():
        last, every = 255 * restorer(image), 255 * restorer.train()(image)
    assert list(case.outputs) == ["step_0", "step_1", "step_2"]
    for result, expected in zip((*every.split(1), last), (*case.outputs.values(), case.outputs["step_2"]), strict=True):
        assert np.abs(result.numpy() - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "expected"),
    [  # the published counts, without the 24 constants of the mean shift
        ("srfbn-x2", 2_140_510),
        ("srfbn-x4", 3_631_454),
        ("srfbn-s-x2", 282_418),
        ("srfbn-s-x4", 483_122),
        ("drrn", 297_601),
        ("drcn", 1_775_121),
    ],
)
def test_the_catalog_has_the_published_networks(name: str, expected: int) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name)
    assert sum(parameter.numel() for parameter in restorer.parameters()) == expected


@pytest.mark.parametrize(("scale", "far"), [(2, 2), (3, 2), (4, 1), (8, 1)])
def test_a_group_sees_as_far_as_declared(scale: int, far: int) -> None:
    spec = {"name": "feedback", "channels": 3, "groups": 2, "scale": scale}
    encoder = {"name": "recurrent", "steps": 1, "transition": spec}
    config = resolve({"channels": 1, "encoder": encoder, "decoder": "conv"}).encoder.config.transition.config
    assert config.receptive_field() == 2 * far


@pytest.mark.parametrize(("scale", "far"), [(2, 2), (3, 1), (4, 1), (8, 1)])
def test_the_head_sees_as_far_as_declared(scale: int, far: int) -> None:
    decoder = decoder_of({"name": "deconvolution", "scale": scale}, 3)
    features = torch.randn(1, 3, 7, 6, dtype=torch.float64)
    assert farthest(lambda x: decoder(x, (7 * scale, 6 * scale)), features) == far
    spec = {"channels": 3, "encoder": "identity", "decoder": {"name": "deconvolution", "scale": scale}}
    assert resolve(spec).decoder.config.receptive_field() == far


SRFBN = {
    "channels": 3,
    "global_skip": "bilinear",
    "encoder": {
        "name": "recurrent",
        "steps": 3,
        "collect": "all",
        "stem": {"name": "convolutions", "channels": [16, 8], "kernel_sizes": [3, 1], "activation": "prelu"},
        "transition": {"name": "feedback", "channels": 8, "groups": 2, "scale": 2},
    },
    "decoder": {"name": "deconvolution", "scale": 2},
}
UNIT = {"name": "convolutions", "channels": [12, 12], "activate": "before"}
DRRN = {
    "channels": 1,
    "global_skip": "bicubic",
    "encoder": {
        "name": "recurrent",
        "steps": 4,
        "stem": {"name": "convolutions", "channels": [12], "activate": "before"},
        "transition": {"name": "encoder", "channels": 12, "encoder": UNIT},
    },
    "decoder": {"name": "conv", "relu": True},
}
DRCN = {
    "channels": 1,
    "global_skip": "bicubic",
    "encoder": {
        "name": "recurrent",
        "steps": 3,
        "collect": "concat",
        "stem": {"name": "convolutions", "channels": [12, 12]},
        "transition": {
            "name": "encoder",
            "channels": 12,
            "add_stem": False,
            "encoder": {"name": "convolutions", "channels": [12]},
        },
    },
    "decoder": {"name": "mixed-states", "states": 3, "decoder": {"name": "conv", "hidden": [12]}},
}


def convolved(image: Tensor, conv: Any) -> Tensor:
    return F.conv2d(image, conv.weight, conv.bias, padding=conv.kernel_size[0] // 2)


def test_drrn_adds_the_stem_to_each_residual_unit() -> None:
    restorer, image = restorer_of(DRRN), torch.rand(1, 1, 7, 6, dtype=torch.float64)
    unit = restorer.encoder.transition.encoder.layers
    stem = state = convolved(image.relu(), restorer.encoder.stem.layers[1])
    for _ in range(4):
        state = stem + convolved(convolved(state.relu(), unit[1]).relu(), unit[3])
    torch.testing.assert_close(restorer(image), image + convolved(state.relu(), restorer.decoder.conv))


def test_drcn_mixes_the_images_of_all_states() -> None:
    restorer, image = restorer_of(DRCN), torch.rand(1, 1, 7, 6, dtype=torch.float64)
    first, _, second, _ = restorer.encoder.stem.layers
    state, images = convolved(convolved(image, first).relu(), second).relu(), []
    for _ in range(3):
        state = convolved(state, restorer.encoder.transition.encoder.layers[0]).relu()
        inner = restorer.decoder.decoder
        images.append(image + convolved(convolved(state, inner.hidden[0]).relu(), inner.conv))
    weights = restorer.decoder.mixture.softmax(0)
    expected = sum(weight * each for weight, each in zip(weights, images, strict=True))
    torch.testing.assert_close(restorer(image), expected)


@pytest.mark.parametrize(("spec", "scale"), [(SRFBN, 2), (DRRN, 1), (DRCN, 1)], ids=["srfbn", "drrn", "drcn"])
def test_it_learns_in_fifty_steps(spec: Any, scale: int) -> None:
    assert_learns(spec, scale)


@pytest.mark.parametrize("spec", [SRFBN, DRRN, DRCN], ids=["srfbn", "drrn", "drcn"])
def test_tiles_have_the_features_of_the_whole_picture(spec: dict[str, Any]) -> None:
    restorer = restorer_of(spec)
    image = torch.rand(1, spec["channels"], 61, 43, dtype=torch.float64)
    with torch.no_grad():
        tiles = encode_in_tiles(restorer, image, exact_tiling(restorer.spec.encoder.config, 9), lambda: None)
        torch.testing.assert_close(tiles, restorer.encode(image))


def test_a_mean_shift_that_was_trained_is_refused() -> None:
    arrays = dict(srfbn().arrays)
    arrays["sub_mean.weight"] = arrays["sub_mean.weight"] + np.float32(0.01)
    with pytest.raises(WeightsError, match=r"sub_mean and add_mean do not subtract and add the same mean"):
        toolbox.convert(arrays)
    arrays = dict(srfbn().arrays)
    del arrays["add_mean.bias"]
    with pytest.raises(WeightsError, match=r"sub_mean and add_mean do not subtract and add the same mean"):
        toolbox.convert(arrays)


def test_kernels_of_no_published_scale_are_refused() -> None:
    arrays = dict(srfbn().arrays)
    arrays["out.0.weight"] = arrays["out.0.weight"][:, :, :5, :5]
    with pytest.raises(WeightsError, match=r"out\.0\.weight has kernels of 5 pixels, expected 6, 7, 8 or 12"):
        toolbox.convert(arrays)


def test_another_scale_is_refused_in_the_spec() -> None:
    spec = {"channels": 3, "encoder": "identity", "decoder": {"name": "deconvolution", "scale": 5}}
    with pytest.raises(SpecError, match=r"^decoder\.scale: got 5, expected 2, 3, 4 or 8"):
        resolve(spec)
