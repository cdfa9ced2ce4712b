"""Thera's decoder and refinement: against the published algorithm, its published outputs, and what a field is."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from toolbox_thera.phases import Phases
from toolbox_thera.plain import heat_field as published
from torch import Tensor

import toolbox
from tests.golden_decoders import case_of
from tests.parts import decoder_of, encoder_of
from tests.plugins.published_thera import thera
from toolbox.decoders.coordinates import pixel_centers
from toolbox.errors import SpecError, WeightsError
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest

CASES = ["thera_air_edsr", "thera_plus_edsr"]
sides = st.integers(1, 9)


def heat_field(features: int = 3, **config: Any) -> Any:
    """Thera's decoder in float64, with frequencies as high as before any training."""
    decoder = decoder_of({"name": "heat-field", "hidden": 5, **config}, features)
    with torch.no_grad():
        decoder.frequencies.mul_(12)
        decoder.diffusivity.fill_(0.01)
    return decoder


def assert_equal(result: Tensor, expected: Tensor) -> None:
    assert result.shape == expected.shape
    assert (result - expected).abs().max() <= 1e-9 * expected.abs().max()


@given(
    shape=st.tuples(st.integers(1, 2), st.just(3), sides, sides),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    hidden=st.integers(1, 4),
    at_a_time=st.sampled_from((1, 200, 2**20)),
)
def test_random_sizes_equal_the_published_algorithm(
    shape: tuple[int, int, int, int], size: tuple[int, int], hidden: int, at_a_time: int
) -> None:
    decoder, features = heat_field(hidden=hidden, bias=(0.5, -1)), torch.randn(shape, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toolbox_thera.heat_field.NUMBERS_AT_A_TIME", at_a_time)
        assert_equal(decoder(features, size), published(decoder, features, size))


@given(shape=st.tuples(sides, sides), size=st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_a_grid_is_its_points(shape: tuple[int, int], size: tuple[int, int]) -> None:
    decoder, features = heat_field(), torch.randn(1, 3, *shape, dtype=torch.float64)
    y, x = (pixel_centers(count, features.device) for count in size)
    points = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).flatten(0, 1)
    values = decoder.query(features, points, (2 / size[0], 2 / size[1]))
    assert_equal(values.mT.unflatten(2, size), decoder(features, size))


@pytest.mark.parametrize(("outputs", "features", "period"), [(8, 4, 1), (14, 4, 2), (6, 4, 2), (9, 4, 4), (4, 4, 1)])
def test_offsets_come_again_after_a_period(outputs: int, features: int, period: int) -> None:
    phases = Phases.of(outputs, features)
    assert (phases.period, phases.slots) == (period, math.ceil(outputs / features))
    pixel, slot = np.divmod(phases.index, phases.slots)
    there = pixel + 0.5 + phases.offsets[pixel % period, slot]
    np.testing.assert_allclose(there, (np.arange(outputs) + 0.5) * features / outputs, atol=1e-12)


def test_a_center_on_an_edge_that_rounding_puts_before_it_has_its_own_offset() -> None:
    rounded = [
        (outputs, features)
        for features in range(1, 60)
        for outputs in range(1, 120)
        if Phases.of(outputs, features).period != features // math.gcd(outputs, features)
    ]
    assert rounded  # else this tests nothing
    decoder = heat_field()
    for outputs, count in rounded[:5]:
        features = torch.randn(1, 3, count, 2, dtype=torch.float64)
        assert_equal(decoder(features, (outputs, 4)), published(decoder, features, (outputs, 4)))


def test_a_field_is_a_sum_of_sines_that_a_larger_pixel_blurs() -> None:
    decoder = heat_field(1, hidden=1)
    with torch.no_grad():
        decoder.field.weight.zero_()
        decoder.field.bias.copy_(
            torch.tensor([2.0, -3.0, 0.4], dtype=torch.float64)
        )  # a weight for each of two channels, and the phase
        decoder.frequencies.copy_(torch.tensor([[1.5], [-7.0]]))
    points = torch.tensor([[0.1, 0.4], [-0.3, 0.2]], dtype=torch.float64)
    for scale in (1.0, 2.0, 3.7):
        values = decoder.query(torch.zeros(1, 1, 1, 1, dtype=torch.float64), points, (2 / scale, 0.3))[0]
        y, x = points.T / 2
        sine = torch.sin(1.5 * y - 7 * x + 0.4) * math.exp(-(1.5**2 + 7**2) * 0.01 / scale**2)
        assert_equal(values, torch.stack((2 * sine, -3 * sine), 1))


def test_a_pixel_sees_its_own_feature_pixel() -> None:
    decoder = heat_field()
    for size in ((14, 16), (10, 21)):
        assert farthest(lambda x, to=size: decoder(x, to), torch.randn(1, 3, 7, 8, dtype=torch.float64)) == 0  # type: ignore[misc]


def test_a_block_of_the_refinement_is_what_it_says() -> None:
    refined = encoder_of({"name": "convnext-refinement", "encoder": "identity", "blocks": [[4, 1]]}, channels=4)
    (block,), image = refined.layers, torch.randn(1, 4, 5, 6, dtype=torch.float64)
    spread = F.conv2d(image, block.depthwise.weight, padding=1, groups=4)
    normal = (spread - spread.mean(1, keepdim=True)) / (spread.var(1, correction=0, keepdim=True) + 1e-6).sqrt()
    normal = normal * block.norm.weight[:, None, None] + block.norm.bias[:, None, None]
    wide = F.conv2d(normal, block.widen.weight[..., None, None], block.widen.bias)
    active = 0.5 * wide * (1 + torch.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)))
    expected = image + F.conv2d(active, block.narrow.weight[..., None, None], block.narrow.bias)
    assert_equal(refined(image), expected)


def test_the_refinement_says_what_it_will_be() -> None:
    spec: Any = {"name": "convnext-refinement", "encoder": {"name": "edsr", "channels": 4, "blocks": 1}}
    encoder = resolve({"channels": 3, "encoder": spec, "decoder": "heat-field"}).encoder
    assert encoder.config.out_channels(3) == 128
    assert encoder.config.receptive_field() == 4 + 16


@pytest.mark.parametrize("name", CASES)
def test_every_output_equals_the_published_code_s(name: str) -> None:
    case = case_of(name)
    restorer = toolbox.convert(case.weights())
    for key, expected in case.outputs.items():
        height, width = map(int, key.split("x"))
        with torch.inference_mode():
            ours = restorer(torch.from_numpy(case.input).permute(0, 3, 1, 2), size=(height, width))
        difference = np.abs(ours.permute(0, 2, 3, 1).numpy() - expected).max()
        assert difference <= 2e-5 * np.abs(expected).max(), key


@pytest.mark.parametrize(
    ("name", "expected", "decoder"),
    [
        ("thera", 1_228_801 - 24, 8_385),
        ("thera-plus", 2_633_569 - 24, None),
        ("thera-rdn", 21_982_337, 8_385),
        ("thera-plus-rdn", 23_387_105, None),
    ],
)
def test_the_catalog_has_the_published_networks(name: str, expected: int, decoder: int | None) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name)
    counted = sum(p.numel() for p in restorer.parameters())
    assert counted in (expected, expected + 24)
    assert decoder in (None, sum(p.numel() for p in restorer.decoder.parameters()))
    assert restorer.spec.global_skip == "nearest"


@pytest.mark.parametrize("encoder", ["edsr", "rdn"])
@pytest.mark.parametrize("blocks", [(), ((4, 2), (6, 1)), ((6, 1),)], ids=str)
@pytest.mark.parametrize("root", ["", "params/"])
def test_arrays_become_the_network_that_they_were(encoder: str, blocks: tuple[tuple[int, int], ...], root: str) -> None:
    stored = thera(encoder, blocks)
    image = torch.rand(1, 3, 5, 6)
    converted = toolbox.convert({root + name: array for name, array in stored.arrays.items()})
    torch.testing.assert_close(converted(image, scale=2.5), stored.restorer(image, scale=2.5))


def test_a_file_of_arrays_is_read(tmp_path: Path) -> None:
    arrays = case_of("thera_air_edsr").weights()
    np.savez(tmp_path / "thera.npz", **arrays)
    converted, image = toolbox.convert(tmp_path / "thera.npz"), torch.rand(1, 3, 4, 5)
    assert torch.equal(converted(image, scale=2), toolbox.convert(arrays)(image, scale=2))


def test_a_pickle_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "thera.pkl"
    path.write_bytes(pickle.dumps({"model": thera("edsr").arrays, "backbone": "edsr", "size": "air"}))
    with pytest.raises(WeightsError, match=r"thera\.pkl: refused, since it is a pickle, .* save its arrays by name in"):
        toolbox.convert(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"out_conv/kernel": np.zeros((1, 1, 4, 7), np.float32)}, r"out_conv/kernel gives 7 channels, expected 20"),
        ({"refine/PatchEmbed_0/kernel": np.zeros(3, np.float32)}, r"no ConvNeXt; Thera pro's SwinIR cannot be convert"),
        ({"encoder/head/layers_0/kernel": None}, r"the encoder under 'encoder/' is neither EDSR .* nor RDN"),
        ({"k": None}, r"k"),
    ],
)
def test_arrays_of_another_network_are_refused(change: dict[str, Any], message: str) -> None:
    arrays = {**thera("edsr").arrays, **change}
    with pytest.raises(WeightsError, match=message):
        toolbox.convert({name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 0}, r"^decoder\.hidden: got 0, expected greater than 0"),
        ({"bias": (1, 2)}, r"^decoder: bias got 2 values, expected one, or 3: one per channel"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 3, "encoder": "edsr", "decoder": {"name": "heat-field", **settings}})


def test_one_bias_is_added_to_all_channels() -> None:
    plain, raised = heat_field(), heat_field(bias=2.5)
    raised.load_state_dict(plain.state_dict())
    features = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    assert_equal(raised(features, (9, 11)), plain(features, (9, 11)) + 2.5)
