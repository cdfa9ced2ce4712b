"""LIIF's decoder against the published computation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import toolbox
from tests import plain
from tests.parts import decoder_of, distances, drawn, reach


def local_ensemble(features: int = 3, **config: Any) -> Any:
    return decoder_of({"name": "local-ensemble", "hidden": [4, 6], **config}, features)


@given(
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    size=st.tuples(st.integers(1, 17), st.integers(1, 17)),
    hidden=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    unfolds=st.booleans(),
    ensemble=st.booleans(),
    cell=st.booleans(),
)
def test_every_variant_equals_the_plain_one(
    height: int, width: int, size: tuple[int, int], hidden: list[int], unfolds: bool, ensemble: bool, cell: bool
) -> None:
    decoder = local_ensemble(hidden=hidden, feature_unfolding=unfolds, local_ensemble=ensemble, cell_decoding=cell)
    features = torch.randn(2, 3, height, width, dtype=torch.float64)
    torch.testing.assert_close(decoder(features, size), plain.local_ensemble(decoder, features, size))


@pytest.mark.parametrize("size", [(4, 5), (8, 10), (12, 15), (13, 9), (2, 3)])
def test_the_published_variant_equals_the_plain_one(size: tuple[int, int]) -> None:
    decoder = local_ensemble()
    features = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(decoder(features, size), plain.local_ensemble(decoder, features, size))


@pytest.mark.parametrize(("unfolds", "ensemble"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_pixel_sees_as_far_as_declared(unfolds: bool, ensemble: bool) -> None:
    decoder = local_ensemble(feature_unfolding=unfolds, local_ensemble=ensemble)
    pairs = reach(lambda x: decoder(x, (14, 21)), torch.randn(1, 3, 7, 8, dtype=torch.float64))
    assert max(distances(pairs, (2, 21 / 8))) == decoder.config.receptive_field() == int(unfolds) + int(ensemble)


def test_gradients_are_those_of_the_numbers() -> None:
    decoder = local_ensemble(features=1, hidden=[2])
    features = torch.randn(1, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: decoder(x, (3, 5)), (features,))


def test_single_precision_is_close_to_double() -> None:
    decoder = local_ensemble()
    features = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    expected = decoder(features, (9, 11))
    single = decoder.float()(features.float(), (9, 11))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), expected, atol=1e-5, rtol=1e-5)


def test_the_published_network_sees_minus_one_to_one() -> None:
    restorer = drawn(toolbox.build("liif", encoder={"channels": 4, "blocks": 1}, decoder={"hidden": [5, 4]}))
    image = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    features = plain.edsr(restorer.encoder, 2 * image - 1, 1.0)
    expected = plain.local_ensemble(restorer.decoder, features, (8, 10)) / 2 + 0.5
    torch.testing.assert_close(restorer(image, scale=2), expected)


def test_the_decoder_has_the_published_network_s_weights() -> None:
    with torch.device("meta"):
        restorer = toolbox.build("liif")
    first, wide = 9 * 64 + 2 + 2, 256
    expected = (first * wide + wide) + 3 * (wide * wide + wide) + (wide * 3 + 3)
    assert sum(p.numel() for p in restorer.decoder.parameters()) == expected
