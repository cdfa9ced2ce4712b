"""RCAN against the published algorithm, and against its published outputs in both namings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from toolbox_rcan.plain import rcan as published
from toolbox_rcan.rcan import mean_after
from torch import Tensor

import toolbox
from tests.golden_encoders import TOLERANCE, distance, golden
from tests.learning import assert_learns
from tests.parts import encoder_of
from tests.plugins.published_rcan import rcan
from tests.weights.published import Arrays
from toolbox.errors import SpecError, WeightsError
from toolbox.resolve import resolve

SMALL = {"name": "rcan", "channels": 4, "groups": 2, "blocks": 2, "reduction": 2}


def assert_equal(result: Tensor, expected: Tensor, tolerance: float = 1e-9) -> None:
    assert result.shape == expected.shape
    assert (result - expected).abs().max() <= tolerance * expected.abs().max()


# What it computes.


@settings(max_examples=40)
@given(batch=st.integers(1, 2), height=st.integers(1, 9), width=st.integers(1, 9), scale=st.sampled_from((1.0, 0.3)))
def test_any_picture_equals_the_published_algorithm(batch: int, height: int, width: int, scale: float) -> None:
    encoder = encoder_of({**SMALL, "residual_scale": scale})
    image = torch.randn(batch, 2, height, width, dtype=torch.float64)
    assert_equal(encoder(image), published(encoder, image))


@given(height=st.integers(1, 5), width=st.integers(1, 5))
def test_the_mean_after_a_convolution_is_known_before_it(height: int, width: int) -> None:
    convolution = torch.nn.Conv2d(3, 4, 3, padding=1).double()
    features = torch.randn(2, 3, height, width, dtype=torch.float64)
    assert_equal(mean_after(convolution, features), convolution(features).mean((2, 3)))


@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_equal_the_published_algorithm_s(batch: int) -> None:
    encoder = encoder_of(SMALL)
    image, cotangent = torch.randn(batch, 2, 5, 6, dtype=torch.float64), torch.randn(batch, 4, 5, 6)
    names, parameters = zip(*encoder.named_parameters(), strict=True)
    ours, theirs = (
        torch.autograd.grad((features * cotangent).sum(), parameters)
        for features in (encoder(image), published(encoder, image))
    )
    for name, one, other in zip(names, ours, theirs, strict=True):
        torch.testing.assert_close(one, other, msg=name)


def test_every_feature_sees_the_whole_picture() -> None:
    encoder, image = encoder_of(SMALL), torch.randn(1, 2, 40, 4, dtype=torch.float64)
    moved = image.clone()
    moved[:, :, -1] += 1
    assert ((encoder(moved) - encoder(image))[:, :, 0].abs() > 1e-9).all()
    restorer = toolbox.build({"channels": 2, "output_channels": 4, "encoder": SMALL, "decoder": "features"})
    assert restorer.receptive_field is None


# The published code.


@pytest.mark.parametrize(("name", "white"), [("rcan_x2", 255), ("rcan_basicsr_x4", 1)])
def test_every_output_equals_the_published_code_s(name: str, white: int) -> None:
    case = golden(name)
    restorer = toolbox.convert(case.weights())
    image = torch.from_numpy(case.input) / white
    with torch.inference_mode():
        results = {"features": restorer.encode(image), "image": restorer(image) * white}
    assert results.keys() == case.outputs.keys()
    for key, expected in case.outputs.items():
        assert distance(results[key], expected) <= TOLERANCE, key


@pytest.mark.parametrize("naming", ["authors", "basicsr"])
def test_a_part_of_the_picture_misses_the_golden(naming: str) -> None:
    case = golden({"authors": "rcan_x2", "basicsr": "rcan_basicsr_x4"}[naming])
    restorer, image = toolbox.convert(case.weights()), torch.from_numpy(case.input)
    image = image / 255 if naming == "authors" else image
    with torch.inference_mode():
        top = restorer.encode(image[:, :, :-1])
    assert distance(top, case.outputs["features"][:, :, : top.shape[2]]) > TOLERANCE


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("rcan-x2", 15_444_643), ("rcan-x3", 15_629_283), ("rcan-x4", 15_592_355), ("rcan-x8", 15_740_067)],
)
def test_the_catalog_has_the_published_networks(name: str, parameters: int) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name)
    assert sum(p.numel() for p in restorer.parameters()) == parameters
    assert restorer.spec.normalization.mean == (0.4488, 0.4371, 0.404)
    assert restorer.spec.normalization.std == pytest.approx(1 / 255)


# The mean shift.


def formula(arrays: Arrays, image: Tensor, white: float) -> Tensor:
    """The authors' forward pass on images in [0, 1], from their own state dict, ×2."""
    tensors = {name: torch.from_numpy(array).double() for name, array in arrays.items()}

    def conv(name: str, x: Tensor) -> Tensor:
        weight = tensors[f"{name}.weight"]
        return F.conv2d(x, weight, tensors[f"{name}.bias"], padding=weight.shape[-1] // 2)

    head = x = conv("head.0", conv("sub_mean", image * white))
    for g in range(2):
        group = x
        for b in range(3):
            own = f"body.{g}.body.{b}.body"
            residual = conv(f"{own}.2", F.relu(conv(f"{own}.0", group)))
            squeezed = F.relu(conv(f"{own}.3.conv_du.0", residual.mean((2, 3), keepdim=True)))
            group = group + residual * conv(f"{own}.3.conv_du.2", squeezed).sigmoid()
        x = x + conv(f"body.{g}.body.3", group)
    x = F.pixel_shuffle(conv("tail.0.0", head + conv("body.2", x)), 2)
    return conv("add_mean", conv("tail.1", x)) / white


def trained_mean_shift(white: float) -> Arrays:
    """A mean shift that was trained along: no matrix is the identity, and one bias does not undo the other."""
    rng = np.random.default_rng(0)
    mean = white * np.array([0.45, 0.44, 0.40])
    arrays = {}
    for layer, sign in (("sub_mean", -1), ("add_mean", 1)):
        matrix = np.eye(3) + 0.1 * rng.standard_normal((3, 3))
        arrays[f"{layer}.weight"] = matrix[:, :, None, None].astype(np.float32)
        arrays[f"{layer}.bias"] = (sign * mean * (1 + 0.1 * rng.standard_normal(3))).astype(np.float32)
    return arrays


@pytest.mark.parametrize("white", [1, 255])
@pytest.mark.parametrize("trained", [False, True])
def test_the_mean_shift_is_what_the_file_has(white: int, trained: bool) -> None:
    arrays = rcan(2, "authors").arrays
    if trained:
        arrays |= trained_mean_shift(white)
    elif white == 1:
        arrays |= {f"{layer}.bias": arrays[f"{layer}.bias"] / np.float32(255) for layer in ("sub_mean", "add_mean")}
    image = torch.rand(1, 3, 6, 5)
    with torch.inference_mode():
        restored = toolbox.convert(arrays)(image)
    assert_equal(restored.double(), formula(arrays, image.double(), white), 2e-6)


def test_a_mean_shift_without_an_inverse_is_refused() -> None:
    arrays = rcan(2, "authors").arrays
    arrays["sub_mean.weight"] = np.ones((3, 3, 1, 1), np.float32)
    with pytest.raises(WeightsError, match=r"as rcan: the matrix of sub_mean has no inverse, expected one near"):
        toolbox.convert(arrays)


def test_a_mean_shift_of_another_shape_is_refused() -> None:
    arrays = rcan(2, "authors").arrays
    arrays["add_mean.weight"] = arrays["add_mean.weight"][:2]
    with pytest.raises(WeightsError, match=r"as rcan: add_mean has shapes .*, expected a 1×1 convolution of 3"):
        toolbox.convert(arrays)


# Recognition and hints.


@pytest.mark.parametrize(
    ("naming", "without", "message"),
    [
        ("authors", "add_mean", r"missing add_mean\.bias, add_mean\.weight; expected the mean shift"),
        ("authors", "tail", r"missing 'tail\.0\.0\.weight'"),
        ("authors", "body.1", r"missing body\.1\.bias"),
        ("basicsr", "upsample", r"missing 'upsample\.0\.weight'"),
        ("basicsr", "conv_after_body", r"missing conv_after_body\.bias, conv_after_body\.weight"),
        ("basicsr", "body.1.residual_group.2", r"missing body\.1\.residual_group\.2\.rcab\.0\.bias"),
    ],
)
def test_a_checkpoint_without_a_part_is_refused(naming: str, without: str, message: str) -> None:
    arrays = {name: array for name, array in rcan(2, naming).arrays.items() if not name.startswith(without)}
    with pytest.raises(WeightsError, match=f"as rcan: .*{message}"):
        toolbox.convert(arrays)


def test_the_file_may_hold_its_tensors_under_params() -> None:
    stored = rcan(4, "basicsr")
    image = torch.rand(1, 3, 5, 6)
    for key in ("params", "params_ema"):
        torch.testing.assert_close(toolbox.convert({key: stored.state_dict})(image), stored.restorer(image))


def test_hints_tell_what_a_state_dict_cannot() -> None:
    spec = toolbox.convert(rcan(2, "basicsr").arrays, white=1, residual_scale=0.1).spec
    assert spec.normalization.std == 1
    assert spec.encoder.config.residual_scale == 0.1


@pytest.mark.parametrize("naming", ["authors", "basicsr"])
def test_the_license_stays_with_the_weights(naming: str) -> None:
    recorded = toolbox.convert(rcan(2, naming).arrays).training_record["license"]
    assert recorded == "none stated by RCAN's authors; Apache-2.0 for BasicSR's weights"


# Settings, and learning.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reduction": 5}, r"^encoder\.reduction: got 5, expected at most 4, the number of channels"),
        ({"groups": 0}, r"^encoder\.groups: got 0, expected greater than 0"),
        ({"residual_scale": 0}, r"^encoder\.residual_scale: got 0, expected greater than 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 3, "encoder": {**SMALL, **changes}, "decoder": "conv"})


def test_a_small_one_learns() -> None:
    spec = {"channels": 3, "encoder": SMALL, "decoder": {"name": "pixel-shuffle", "scale": 2, "channels": 4}}
    assert_learns(spec, scale=2)
