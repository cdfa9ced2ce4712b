"""LTE's decoder against the published algorithm, point by point, and against its published outputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import toolbox
from tests import plain_decoders, plain_ensembles
from tests.golden_decoders import assert_as_published, case_of
from tests.parts import decoder_of
from tests.plugins.published_lte import lte
from toolbox.errors import SpecError, WeightsError
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest


def local_texture(features: int = 3, **config: Any) -> Any:
    """LTE's decoder in float32, as published, without a clipped cell."""
    settings = {"name": "local-texture", "frequencies": 3, "hidden": [5, 6], "largest_scale": None, **config}
    return decoder_of(settings, features).float()


def published(decoder: Any, features: Tensor, size: tuple[int, int], cell: tuple[float, float]) -> Tensor:
    """The published algorithm at a grid's pixel centers, as an image."""
    points = plain_decoders.make_coord(size)
    return plain_ensembles.lte(decoder, features, points, cell).transpose(1, 2).unflatten(2, size)


def assert_equal(result: Tensor, expected: Tensor) -> None:
    assert result.shape == expected.shape
    assert (result - expected).abs().max() <= 1e-4 * expected.abs().max()


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    frequencies=st.integers(1, 4),
    hidden=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    chunk=st.sampled_from((1, 20, 16384)),
)
def test_random_sizes_equal_the_published_algorithm(
    shape: tuple[int, int], size: tuple[int, int], frequencies: int, hidden: list[int], chunk: int
) -> None:
    decoder = local_texture(frequencies=frequencies, hidden=hidden)
    features = torch.randn(2, 3, *shape)
    decoder.chunk = chunk
    assert_equal(decoder(features, size), published(decoder, features, size, plain_decoders.cell_of(size)))


def test_any_point_equals_the_published_algorithm() -> None:
    decoder = local_texture()
    features = torch.randn(2, 3, 5, 6)
    points = 2 * torch.rand(60, 2) - 1
    for cell in ((0.1, 0.07), (1.0, 2.0)):
        # A point that is nearly a center of the cell's grid is taken for it: keep away from those.
        phase = (points + 1) / 2 * (2 / torch.tensor(cell)).round() % 1
        apart = points[((phase - 0.5).abs() > 0.01).all(1)]
        assert len(apart) > 30
        assert_equal(decoder.query(features, apart, cell), plain_ensembles.lte(decoder, features, apart, cell))


@pytest.mark.parametrize(
    ("size", "excess"), [((10, 12), 1.0), ((20, 24), 1.0), ((30, 24), 1.5), ((40, 100), 2.0), ((20, 60), 1.0)]
)
def test_beyond_the_largest_scale_the_cell_is_that_of_this_scale(size: tuple[int, int], excess: float) -> None:
    decoder = local_texture(largest_scale=4)
    features = torch.randn(1, 3, 5, 6)
    cell = excess * 2 / size[0], excess * 2 / size[1]  # both axes by the vertical scale
    assert_equal(decoder(features, size), published(decoder, features, size, cell))
    if excess > 1:
        assert not torch.allclose(decoder(features, size), local_texture_like(decoder)(features, size))


def local_texture_like(decoder: Any) -> Any:
    """The same weights without a largest scale."""
    other = local_texture()
    other.load_state_dict(decoder.state_dict())
    return other


def test_a_pixel_sees_as_far_as_declared() -> None:
    decoder = local_texture().double()
    assert decoder.config.receptive_field() == 2
    for size in ((14, 16), (10, 21)):
        far = farthest(lambda x, to=size: decoder(x, to), torch.randn(1, 3, 7, 8, dtype=torch.float64))  # type: ignore[misc]
        assert far == 2


@pytest.mark.parametrize(
    ("name", "expected"), [("lte", 1_714_267 - 24), ("lte-rdn", 22_467_779)]
)  # without the fixed mean shift
def test_the_catalog_has_the_published_networks(name: str, expected: int) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name)
    assert sum(p.numel() for p in restorer.parameters()) == expected
    assert sum(p.numel() for p in restorer.decoder.parameters()) == 493_827
    assert restorer.spec.global_skip == "bilinear"


@pytest.mark.parametrize("name", ["lte_edsr", "lte_fast_edsr"])
def test_every_output_equals_the_published_code_s(name: str) -> None:
    assert_as_published(name)


@pytest.mark.parametrize("plus", [False, True])
def test_both_orders_of_frequencies_become_the_same_network(plus: bool) -> None:
    stored = lte(plus=plus)
    image = torch.rand(1, 3, 5, 6)
    torch.testing.assert_close(toolbox.convert(stored.arrays)(image, scale=2.5), stored.restorer(image, scale=2.5))


def test_frequencies_in_the_other_order_miss_the_published_output() -> None:
    case = case_of("lte_edsr")
    weights = case.weights()
    swapped = weights | {f"freq.{kind}": weights[f"freq.{kind}"][::-1].copy() for kind in ("weight", "bias")}
    image = torch.from_numpy(case.input) / 2 + 0.5
    ours, other = (toolbox.convert(each)(image, scale=2) for each in (weights, swapped))
    assert (ours - other).abs().max() > 1e-3


def test_the_hint_says_how_large_a_scale_the_cell_follows() -> None:
    weights = case_of("lte_edsr").weights()
    assert toolbox.convert(weights).spec.decoder.config.largest_scale == 4
    assert toolbox.convert(weights, largest_scale=None).spec.decoder.config.largest_scale is None
    with pytest.raises(SpecError, match=r"^hints for lte: largest_scale: got 0, expected greater than 0$"):
        toolbox.convert(weights, largest_scale=0)


def test_a_checkpoint_without_layers_is_refused() -> None:
    weights = {name: value for name, value in case_of("lte_edsr").weights().items() if "layers.2" not in name}
    with pytest.raises(WeightsError, match=r"missing 'imnet\.layers\.2\.weight', which says what the rest "):
        toolbox.convert(weights)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frequencies": 0}, r"^decoder\.frequencies: got 0, expected greater than 0"),
        ({"hidden": []}, r"^decoder\.hidden: got "),
        ({"largest_scale": -1}, r"^decoder\.largest_scale: got -1, expected greater than 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 1, "encoder": "edsr", "decoder": {"name": "local-texture", **settings}})
