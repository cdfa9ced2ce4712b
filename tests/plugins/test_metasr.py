"""Meta-SR's decoder against the published computation."""

from __future__ import annotations

from typing import Any

import pytest
import toolbox_metasr.meta_upscale
import torch
from hypothesis import given
from hypothesis import strategies as st

import toolbox
from tests import plain
from tests.parts import decoder_of, distances, drawn, reach


def meta_upscale(features: int = 3, hidden: int = 4) -> Any:
    return decoder_of({"name": "meta-upscale", "hidden": hidden}, features)


@given(
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    size=st.tuples(st.integers(1, 17), st.integers(1, 17)),
    hidden=st.integers(1, 5),
    most_phases=st.sampled_from((0, 10_000)),
)
def test_it_equals_the_plain_one_by_positions_and_by_phases(
    height: int, width: int, size: tuple[int, int], hidden: int, most_phases: int
) -> None:
    decoder = meta_upscale(hidden=hidden)
    features = torch.randn(2, 3, height, width, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toolbox_metasr.meta_upscale, "MOST_PHASES", most_phases)
        result = decoder(features, size)
    torch.testing.assert_close(result, plain.meta_upscale(decoder, features, size, 2), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(4, 5), (8, 10), (16, 20), (13, 9), (2, 3)])
def test_the_shipped_choice_equals_the_plain_one(size: tuple[int, int]) -> None:
    decoder = meta_upscale()
    features = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    expected = plain.meta_upscale(decoder, features, size, 2)
    torch.testing.assert_close(decoder(features, size), expected, atol=1e-5, rtol=1e-5)


def test_a_pixel_sees_as_far_as_declared() -> None:
    decoder = meta_upscale()
    pairs = reach(lambda x: decoder(x, (14, 16)), torch.randn(1, 3, 7, 8, dtype=torch.float64))
    config = toolbox.build("metasr-edsr", encoder={"blocks": 1}).spec.decoder.config
    assert max(distances(pairs, (2, 2))) == config.receptive_field() == 1


def test_gradients_are_those_of_the_numbers() -> None:
    decoder = meta_upscale(features=1)
    features = torch.randn(1, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: decoder(x, (3, 5)), (features,))


def test_the_published_network_sees_minus_one_to_one() -> None:
    restorer = drawn(toolbox.build("metasr-edsr", encoder={"channels": 4, "blocks": 1}, decoder={"hidden": 5}))
    image = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    features = plain.edsr(restorer.encoder, 2 * image - 1, 1.0)
    expected = plain.meta_upscale(restorer.decoder, features, (8, 10), 3) / 2 + 0.5
    torch.testing.assert_close(restorer(image, scale=2), expected, atol=1e-5, rtol=1e-5)


def test_the_decoder_has_the_published_network_s_weights() -> None:
    with torch.device("meta"):
        restorer = toolbox.build("metasr")
    expected = (3 * 256 + 256) + (256 * 64 * 9 * 3 + 64 * 9 * 3)
    assert sum(p.numel() for p in restorer.decoder.parameters()) == expected
