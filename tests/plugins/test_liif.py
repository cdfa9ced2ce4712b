"""LIIF's decoder against the published algorithm, point by point."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import toolbox
from tests import plain, plain_decoders
from tests.parts import decoder_of
from toolbox.errors import SpecError
from toolbox.resolve import resolve
from toolbox.testing.measure import drawn, farthest

SWITCHES = ("feature_unfolding", "local_ensemble", "cell_decoding")
VARIANTS = [dict(zip(SWITCHES, values, strict=True)) for values in product((True, False), repeat=3)]
variant = pytest.mark.parametrize(
    "switches", VARIANTS, ids=lambda switches: "".join("ny"[on] for on in switches.values())
)

# Feature size → output size.
CASES = [
    ((4, 5), (4, 5)),
    ((4, 5), (8, 10)),
    ((4, 5), (12, 15)),  # at odd scales, border positions coincide with feature centers
    ((4, 6), (6, 9)),
    ((5, 4), (7, 17)),  # another scale on each axis
    ((7, 9), (3, 5)),
    ((6, 5), (2, 11)),
    ((3, 4), (1, 1)),
    ((1, 1), (3, 4)),
    ((1, 1), (1, 1)),
    ((14, 3), (37, 2)),  # 37 : 14 has a position on the edge of two pixels
]


def local_ensemble(features: int = 3, **config: Any) -> Any:
    """LIIF's decoder in float32, as published."""
    return decoder_of({"name": "local-ensemble", "hidden": [5, 6], **config}, features).float()


def published(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """The published algorithm at a grid's pixel centers, as an image."""
    points, cell = plain_decoders.make_coord(size), plain_decoders.cell_of(size)
    return plain_decoders.liif(decoder, features, points, cell).transpose(1, 2).unflatten(2, size)


def assert_equal(result: Tensor, expected: Tensor) -> None:
    assert result.shape == expected.shape
    assert (result - expected).abs().max() <= 1e-4 * expected.abs().max()


@variant
@pytest.mark.parametrize(("shape", "size"), CASES, ids=str)
def test_every_variant_equals_the_published_algorithm(
    shape: tuple[int, int], size: tuple[int, int], switches: dict[str, bool]
) -> None:
    decoder = local_ensemble(**switches)
    features = torch.randn(2, 3, *shape)
    assert_equal(decoder(features, size), published(decoder, features, size))


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    hidden=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    switches=st.sampled_from(VARIANTS),
    chunk=st.sampled_from((1, 20, 16384)),
)
def test_random_sizes_equal_the_published_algorithm(
    shape: tuple[int, int], size: tuple[int, int], hidden: list[int], switches: dict[str, bool], chunk: int
) -> None:
    decoder = local_ensemble(hidden=hidden, **switches)
    features = torch.randn(1, 3, *shape)
    decoder.chunk = chunk
    assert_equal(decoder(features, size), published(decoder, features, size))


@variant
def test_any_point_equals_the_published_algorithm(switches: dict[str, bool]) -> None:
    decoder = local_ensemble(**switches)
    features = torch.randn(2, 3, 5, 6)
    points = 2 * torch.rand(60, 2) - 1
    for cell in ((0.1, 0.07), (1.0, 2.0)):
        # A point that is nearly a center of the cell's grid is taken for it: keep away from those.
        phase = (points + 1) / 2 * (2 / torch.tensor(cell)).round() % 1
        apart = points[((phase - 0.5).abs() > 0.01).all(1)]
        assert len(apart) > 30
        assert_equal(decoder.query(features, apart, cell), plain_decoders.liif(decoder, features, apart, cell))


def test_a_small_move_is_a_small_change() -> None:
    decoder = local_ensemble().double()
    features = torch.randn(1, 3, 5, 6, dtype=torch.float64)
    path = torch.stack((torch.linspace(-0.7, 0.75, 4001), torch.linspace(-0.8, 0.71, 4001)), -1).double()
    values = decoder.query(features, path, (0.2, 0.1))[0]
    steps = (values[1:] - values[:-1]).abs().max()
    assert 0 < steps < 0.01 * (values.max() - values.min())


def test_without_the_ensemble_the_picture_breaks_between_feature_pixels() -> None:
    decoder = local_ensemble(local_ensemble=False).double()
    features = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    points = torch.tensor([[-0.1, -0.001], [-0.1, 0.001], [-0.1, 0.003]], dtype=torch.float64)
    across_before, across, within = decoder.query(features, points, (0.23, 0.23))[0]
    assert (across - across_before).abs().max() > 10 * (within - across).abs().max()


@pytest.mark.parametrize(("unfolds", "ensemble"), list(product((True, False), repeat=2)))
def test_a_pixel_sees_as_far_as_declared(unfolds: bool, ensemble: bool) -> None:
    decoder = local_ensemble(feature_unfolding=unfolds, local_ensemble=ensemble).double()
    assert decoder.config.receptive_field() == int(unfolds) + int(ensemble)
    for size in ((14, 16), (10, 21)):
        far = farthest(lambda x, to=size: decoder(x, to), torch.randn(1, 3, 7, 8, dtype=torch.float64))  # type: ignore[misc]
        assert far == decoder.config.receptive_field()


def test_the_published_network_sees_minus_one_to_one() -> None:
    restorer = drawn(toolbox.build("liif", encoder={"channels": 4, "blocks": 1}, decoder={"hidden": [5, 4]})).float()
    image = torch.rand(1, 3, 4, 5)
    features = plain.edsr(restorer.encoder, 2 * image - 1, 1.0)
    assert_equal(restorer(image, scale=2), published(restorer.decoder, features, (8, 10)) / 2 + 0.5)


@pytest.mark.parametrize(("name", "encoder"), [("liif", "edsr"), ("liif-rdn", "rdn")])
def test_the_catalog_has_the_published_networks(name: str, encoder: str) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name)
    assert restorer.spec.encoder.name == encoder
    first, wide = 9 * 64 + 2 + 2, 256
    expected = (first * wide + wide) + 3 * (wide * wide + wide) + (wide * 3 + 3)
    assert sum(p.numel() for p in restorer.decoder.parameters()) == expected


@pytest.mark.parametrize("hidden", [[], 256, ["wide"]])
def test_layers_that_cannot_be_are_refused(hidden: Any) -> None:
    with pytest.raises(SpecError, match=r"^decoder\.hidden(\.0)?: got "):
        resolve({"channels": 1, "encoder": "edsr", "decoder": {"name": "local-ensemble", "hidden": hidden}})
