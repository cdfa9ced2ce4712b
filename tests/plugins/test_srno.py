"""SRNO's decoder against the published algorithm and its published outputs, whatever way a grid is cut."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toolbox_srno.plain import neural_operator as published
from torch import Tensor

import toolbox
from tests.golden_decoders import assert_as_published, case_of
from tests.parts import decoder_of
from tests.plugins.published_srno import srno
from tests.weights.published import EDSR, RDN
from toolbox.decoders.coordinates import pixel_centers
from toolbox.errors import SpecError, WeightsError
from toolbox.resolve import resolve

CASES = ["srno_edsr", "srno_narrow"]
sides = st.integers(1, 9)


def neural_operator(features: int = 3, **config: Any) -> Any:
    """SRNO's decoder in float64."""
    return decoder_of({"name": "neural-operator", "width": 6, "heads": 2, "hidden": 5, **config}, features)


def centers(size: tuple[int, int]) -> Tensor:
    """(H' · W', 2): the centers of a grid's pixels."""
    y, x = (pixel_centers(count, torch.device("cpu")) for count in size)
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).flatten(0, 1)


def cell_of(size: tuple[int, int]) -> tuple[float, float]:
    return 2 / size[0], 2 / size[1]


def assert_equal(result: Tensor, expected: Tensor) -> None:
    assert result.shape == expected.shape
    assert (result - expected).abs().max() <= 1e-9 * expected.abs().max()


@given(
    shape=st.tuples(st.integers(1, 3), st.just(3), sides, sides),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    heads=st.integers(1, 3),
    depth=st.integers(2, 4),
    at_a_time=st.sampled_from(((20, 12), (1024, 8192))),
)
def test_random_sizes_equal_the_published_algorithm(
    shape: tuple[int, int, int, int], size: tuple[int, int], heads: int, depth: int, at_a_time: tuple[int, int]
) -> None:
    decoder, features = neural_operator(width=heads * depth, heads=heads), torch.randn(shape, dtype=torch.float64)
    decoder.chunk, decoder.band = at_a_time
    assert_equal(decoder(features, size), published(decoder, features, size))


@given(shape=st.tuples(st.integers(1, 2), st.just(3), sides, sides), size=st.tuples(sides, sides))
def test_a_grid_is_its_points(shape: tuple[int, int, int, int], size: tuple[int, int]) -> None:
    decoder, features = neural_operator(), torch.randn(shape, dtype=torch.float64)
    values = decoder.query(features, centers(size), cell_of(size))
    assert_equal(values.mT.unflatten(2, size), decoder(features, size))


def test_points_attend_to_the_grid_that_the_cell_implies() -> None:
    decoder, features, size = neural_operator(), torch.randn(1, 3, 4, 5, dtype=torch.float64), (9, 11)
    few = torch.tensor([3, 50, 98])
    whole = decoder(features, size).flatten(2)[0].T
    assert_equal(decoder.query(features, centers(size)[few], cell_of(size))[0], whole[few])
    other = decoder.query(features, centers(size)[few], (0.5, 0.5))[0]
    assert (other - whole[few]).abs().max() > 1e-3


def test_in_training_mode_points_attend_to_one_another() -> None:
    decoder, features, size = neural_operator(), torch.randn(2, 3, 4, 5, dtype=torch.float64), (9, 11)
    some = centers(size)[torch.randperm(99)[:30]].expand(2, -1, -1)
    alone = decoder.train().query(features, some, cell_of(size))
    assert (alone - decoder.eval().query(features, some, cell_of(size))).abs().max() > 1e-6
    assert_equal(decoder.train().query(features, some.flip(1), cell_of(size)), alone.flip(1))
    everywhere = decoder.train().query(features, centers(size), cell_of(size))
    assert_equal(everywhere, decoder.eval().query(features, centers(size), cell_of(size)))


@pytest.mark.parametrize("size", [(8, 10), (20, 25), (24, 20)], ids=str)
def test_beyond_the_largest_scale_the_cell_is_that_of_this_scale(size: tuple[int, int]) -> None:
    decoder, free = neural_operator(largest_scale=4), neural_operator(largest_scale=None)
    free.load_state_dict(decoder.state_dict())
    features = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    assert_equal(decoder(features, size), published(decoder, features, size))
    assert torch.equal(decoder(features, size), free(features, size)) == (size[0] <= 16)


@pytest.mark.parametrize("name", CASES)
def test_every_output_equals_the_published_code_s(name: str) -> None:
    assert_as_published(name)


@pytest.mark.parametrize(("name", "expected"), [("srno", 2_015_323 - 24), ("srno-rdn", 22_768_835)])
def test_the_catalog_has_the_published_networks(name: str, expected: int) -> None:  # without the fixed mean shift
    with torch.device("meta"):
        restorer = toolbox.build(name)
    assert sum(p.numel() for p in restorer.parameters()) == expected
    assert sum(p.numel() for p in restorer.decoder.parameters()) == 794_883
    assert restorer.spec.global_skip == "bilinear"
    assert restorer.receptive_field is None


@pytest.mark.parametrize("encoder", [EDSR, RDN], ids=["edsr", "rdn"])
def test_a_state_dict_becomes_the_network_that_it_was(encoder: Any) -> None:
    stored = srno(encoder)
    image = torch.rand(1, 3, 5, 6)
    torch.testing.assert_close(toolbox.convert(stored.arrays)(image, scale=2.5), stored.restorer(image, scale=2.5))


def test_the_hint_says_how_large_a_scale_the_cell_follows() -> None:
    weights = case_of("srno_narrow").weights()
    assert toolbox.convert(weights).spec.decoder.config.largest_scale == 4
    assert toolbox.convert(weights, largest_scale=None).spec.decoder.config.largest_scale is None


def test_heads_that_do_not_fit_their_width_are_refused() -> None:
    weights = srno().arrays
    weights["conv0.kln.weight"] = weights["conv0.kln.weight"][:1]
    with pytest.raises(WeightsError, match=r"conv0\.kln\.weight is of 1 heads of 3 channels, expected 6 in all"):
        toolbox.convert(weights)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 10, "heads": 3}, r"^decoder\.heads: got 3, expected a divisor of width 10 that leaves each two"),
        ({"width": 4, "heads": 4}, r"^decoder\.heads: got 4, expected a divisor of width 4"),
        ({"hidden": 0}, r"^decoder\.hidden: got 0, expected greater than 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 1, "encoder": "edsr", "decoder": {"name": "neural-operator", **settings}})
