"""NAFNet's blocks and U-net against the published algorithm, and against their published outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from toolbox_nafnet import plain
from toolbox_nafnet.block import NAFBlock
from toolbox_nafnet.local_mean import local_mean, window_of
from torch import Tensor

import toolbox
from tests.golden_encoders import TOLERANCE, distance, golden
from tests.learning import assert_learns
from tests.parts import encoder_of, restorer_of
from tests.plugins.published_nafnet import nafnet, nafssr
from toolbox.config import Padding
from toolbox.errors import SpecError, WeightsError
from toolbox.images.engine.tiling import Tiling, encode_in_tiles
from toolbox.padding import alignment_of
from toolbox.resolve import resolve
from toolbox.testing.measure import drawn, farthest

NAF = {"name": "naf", "channels": 4, "blocks": 2}
UNET = {"name": "nafnet", "channels": 3, "encoder_blocks": [1, 2], "middle_blocks": 1, "decoder_blocks": [0, 1]}


def assert_equal(result: Tensor, expected: Tensor, tolerance: float = 1e-9) -> None:
    assert result.shape == expected.shape
    assert (result - expected).abs().max() <= tolerance * expected.abs().max()


# The block.


@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 14), st.integers(1, 9)),
    window=st.none() | st.tuples(st.integers(1, 10), st.integers(1, 10)),
    band=st.sampled_from((1, 2**18)),
    trains=st.booleans(),
)
def test_a_block_equals_the_published_algorithm(
    shape: tuple[int, int, int, int], window: tuple[int, int] | None, band: int, trains: bool
) -> None:
    block = drawn(NAFBlock(shape[1], window))
    block.band = band  # the smaller one cuts a picture into bands of four rows
    features = torch.randn(shape, dtype=torch.float64)
    with torch.set_grad_enabled(trains):
        assert_equal(block(features), plain.block(block, features))


def test_an_untrained_block_is_the_identity() -> None:
    features = torch.randn(1, 4, 5, 6)
    torch.testing.assert_close(NAFBlock(4)(features), features)


def test_gradients_equal_the_published_algorithm_s() -> None:
    encoder = encoder_of(UNET)
    image, cotangent = torch.randn(2, 2, 8, 4, dtype=torch.float64), torch.randn(2, 3, 8, 4)
    names, parameters = zip(*encoder.named_parameters(), strict=True)
    ours, theirs = (
        torch.autograd.grad((features * cotangent).sum(), parameters)
        for features in (encoder(image), plain.nafnet(encoder, image))
    )
    for name, one, other in zip(names, ours, theirs, strict=True):
        torch.testing.assert_close(one, other, msg=name)


@settings(max_examples=40)
@given(shape=st.tuples(st.integers(1, 9), st.integers(1, 9)), window=st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_a_local_mean_is_that_of_the_nearest_window_inside(shape: tuple[int, int], window: tuple[int, int]) -> None:
    values = torch.randn(1, *shape, 2, dtype=torch.float64)
    means = local_mean(values, window)
    for place in np.ndindex(*shape):
        parts = []
        for at, side, length in zip(place, window, shape, strict=True):
            size = min(side, length)
            first = min(max(at - (size - 1) // 2, 0), length - size)
            parts.append(slice(first, first + size))
        torch.testing.assert_close(means[0, place[0], place[1]], values[0, parts[0], parts[1]].mean((0, 1)))


def test_local_means_of_half_precision_do_not_drift() -> None:
    values = torch.ones(1, 600, 3, 1, dtype=torch.bfloat16)
    assert torch.equal(local_mean(values, (7, 3)), values)


@pytest.mark.parametrize(
    ("trained", "levels", "expected"),
    [
        ((256, 256), 4, [(384, 384), (192, 192), (96, 96), (48, 48), (24, 24)]),
        ((12, 16), 1, [(18, 24), (9, 12)]),
        ((5, 5), 1, [(8, 8), (4, 4)]),  # padded to 6: 6 · 7 // 5
    ],
)
def test_windows_are_one_and_a_half_training_patches(
    trained: tuple[int, int], levels: int, expected: list[tuple[int, int]]
) -> None:
    assert [window_of(trained, level, levels) for level in range(levels + 1)] == expected


# The published code.


@pytest.mark.parametrize(
    ("name", "hints"), [("nafblock", {}), ("nafnet", {}), ("nafnet_local", {"local": (12, 16)}), ("nafnet_sr_x2", {})]
)
def test_every_output_equals_the_published_code_s(name: str, hints: dict[str, Any]) -> None:
    case = golden(name)
    restorer = toolbox.convert(case.weights(), **hints)
    image = torch.from_numpy(case.input)
    with torch.inference_mode():
        results = {"image": restorer(image), "features": restorer.encode(restorer.pad(image))}
    for key, expected in case.outputs.items():
        assert distance(results[key], expected) <= TOLERANCE, key


@pytest.mark.parametrize("hints", [{}, {"local": (16, 16)}, {"local": (12, 18)}], ids=str)
def test_another_hint_misses_the_golden(hints: dict[str, Any]) -> None:
    case = golden("nafnet_local")
    with torch.inference_mode():
        result = toolbox.convert(case.weights(), **hints)(torch.from_numpy(case.input))
    assert distance(result, case.outputs["image"]) > TOLERANCE


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("nafnet-sidd", 29_159_715),
        ("nafnet-wide", 115_982_915),
        ("nafnet-deblur", 17_111_907),
        ("nafnet-local", 17_111_907),
        ("nafnet-local-wide", 67_888_835),
    ],
)
def test_the_catalog_has_the_published_networks(name: str, parameters: int) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name)
    assert sum(p.numel() for p in restorer.parameters()) == parameters
    assert restorer.padding == Padding(16, "zeros")
    assert (restorer.receptive_field is None) == ("local" not in name)


# Padding and tiles.


@pytest.mark.parametrize("local", [None, (4, 6)])
def test_a_picture_is_padded_with_zeros_and_cropped_after_the_decoder(local: tuple[int, int] | None) -> None:
    encoder = {**UNET, "local": local}
    restorer = restorer_of({"channels": 3, "global_skip": "bilinear", "encoder": encoder, "decoder": "conv"})
    image = torch.rand(1, 3, 5, 7, dtype=torch.float64)
    whole = F.pad(image, (0, 1, 0, 3))
    expected = whole + restorer.decoder.conv(plain.nafnet(restorer.encoder, whole))
    assert_equal(restorer(image), expected[:, :, :5, :7])


@pytest.mark.parametrize(("encoder", "local"), [(NAF, (4, 6)), (NAF, (1, 9)), (UNET, (2, 2)), (UNET, (5, 3))], ids=str)
def test_with_local_means_tiles_are_exact_and_a_pixel_sees_as_far_as_declared(
    encoder: dict[str, Any], local: tuple[int, int]
) -> None:
    restorer = restorer_of({"channels": 2, "encoder": {**encoder, "local": local}, "decoder": "conv"})
    config = restorer.spec.encoder.config
    radius, aligned = config.receptive_field(), alignment_of(config)
    assert radius is not None
    image = restorer.pad(torch.rand(1, 2, 2 * radius + 5 * aligned, 3 * aligned + 1, dtype=torch.float64))
    with torch.no_grad():
        whole = restorer.encode(image)
        for tile in (aligned, 3 * aligned):
            tiling = Tiling(tile, radius, aligned)
            assert tiling.count(*image.shape[-2:]) > 1
            assert_equal(encode_in_tiles(restorer, image, tiling, lambda: None), whole)
        part = image[..., : (radius + 8 * aligned) // aligned * aligned, : 2 * aligned]
        seen = max(farthest(restorer.encode, part), farthest(restorer.encode, part.mT.contiguous()))
    assert radius / 2 <= seen <= radius


# Recognition and hints.


@pytest.mark.parametrize(
    ("stored", "without", "message"),
    [
        (nafnet, "downs", r"missing 'downs\.0\.weight'"),
        (nafnet, "middle_blks", r"missing middle_blks\.0\.beta"),
        (nafnet, "decoders.1", r"missing decoders\.1\.0\.beta"),
        (nafnet, "encoders.1.0", r"missing encoders\.1\.0\.beta"),
        (lambda: nafssr(2), "up.0", r"missing 'up\.0\.weight'"),
        (lambda: nafssr(2), "body.1", r"unexpected body\.2\.module\.blk\.beta"),
    ],
)
def test_a_checkpoint_without_a_part_is_refused(stored: Any, without: str, message: str) -> None:
    arrays = {name: array for name, array in stored().arrays.items() if not name.startswith(without)}
    with pytest.raises(WeightsError, match=f"as nafnet: .*{message}"):
        toolbox.convert(arrays)


def test_both_views_of_nafssr_are_refused() -> None:
    arrays = nafssr(2).arrays
    arrays["body.0.module.fusion.beta"] = np.zeros((1, 4, 1, 1), np.float32)
    with pytest.raises(WeightsError, match=r"as nafnet: .*unexpected body\.0\.module\.fusion\.beta"):
        toolbox.convert(arrays)


def test_the_file_may_hold_its_tensors_under_params() -> None:
    stored, image = nafnet(), torch.rand(1, 3, 5, 6)
    torch.testing.assert_close(toolbox.convert({"params": stored.state_dict})(image), stored.restorer(image))


def test_the_license_stays_with_the_weights() -> None:
    assert toolbox.convert(nafnet().arrays).training_record["license"] == "MIT"


# Settings, and learning.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"decoder_blocks": [1]},
            r"^encoder\.decoder_blocks: got \[1\], expected 2 numbers, as many as",
        ),
        ({"encoder_blocks": []}, r"^encoder\.encoder_blocks: got \[\]"),
        ({"local": [0, 4]}, r"^encoder\.local\.0: got 0, expected greater than 0"),
        ({"channels": 1}, r"^encoder\.channels: got 1, expected greater than 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 3, "encoder": {**UNET, **changes}, "decoder": "conv"})


@pytest.mark.parametrize("local", [None, (6, 6)])
@pytest.mark.parametrize("encoder", [NAF, UNET], ids=lambda encoder: encoder["name"])
def test_a_small_one_learns(encoder: dict[str, Any], local: tuple[int, int] | None) -> None:
    assert_learns({"channels": 3, "encoder": {**encoder, "local": local}, "decoder": "conv"})
