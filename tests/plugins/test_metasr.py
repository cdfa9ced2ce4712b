"""Meta-SR's decoder against the published algorithm, point by point, on each of its three ways."""

from __future__ import annotations

from typing import Any

import pytest
import toolbox_metasr.meta_upscale
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

# Feature size → output size, and how many filters a grid of that size needs.
CASES = [
    ((4, 5), (4, 5), 1),
    ((4, 5), (8, 10), 4),
    ((4, 5), (12, 15), 9),
    ((4, 6), (10, 15), 25),
    ((5, 4), (7, 12), 7 * 3),  # another scale on each axis
    ((6, 8), (3, 4), 1),
    ((7, 9), (3, 5), 3 * 5),
    ((3, 4), (1, 1), 1),
    ((1, 1), (3, 4), 3 * 4),
    ((1, 1), (1, 1), 1),
    ((11, 11), (37, 37), 37 * 37),
    ((11, 3), (37, 7), 37 * 7),
]


def meta_upscale(features: int = 3, hidden: int = 6, channels: int = 2) -> Any:
    """Meta-SR's decoder in float32, as published."""
    return decoder_of({"name": "meta-upscale", "hidden": hidden}, features, channels).float()


def published(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """The published algorithm at a grid's pixel centers, as an image."""
    points, cell = plain_decoders.make_coord(size), plain_decoders.cell_of(size)
    return plain_decoders.meta_sr(decoder, features, points, cell).transpose(1, 2).unflatten(2, size)


def assert_equal(result: Tensor, expected: Tensor) -> None:
    assert result.shape == expected.shape
    assert (result - expected).abs().max() <= 1e-4 * expected.abs().max()


def by_positions(decoder: Any, features: Tensor, size: tuple[int, int], chunk: int = 16384) -> Tensor:
    """The grid call as it is where a grid needs too many filters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toolbox_metasr.meta_upscale, "MOST_PHASES", 0)
        patch.setattr(decoder, "chunk", chunk)
        image: Tensor = decoder(features, size)
        return image


def by_filters(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """The grid call as it is where a grid needs few filters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toolbox_metasr.meta_upscale, "MOST_PHASES", 10**6)
        patch.setattr(decoder, "sample", None)  # not needed: all is done by convolution
        image: Tensor = decoder(features, size)
        return image


@pytest.mark.parametrize(("shape", "size", "filters"), CASES, ids=str)
def test_every_way_equals_the_published_algorithm(shape: tuple[int, int], size: tuple[int, int], filters: int) -> None:
    decoder = meta_upscale()
    features = torch.randn(2, 3, *shape)
    expected = published(decoder, features, size)
    assert_equal(decoder(features, size), expected)
    assert_equal(by_positions(decoder, features, size), expected)
    assert_equal(by_positions(decoder, features, size, chunk=3), expected)
    assert_equal(by_filters(decoder, features, size), expected)
    queried = decoder.query(features, plain_decoders.make_coord(size), plain_decoders.cell_of(size))
    assert_equal(queried.transpose(1, 2).unflatten(2, size), expected)


@pytest.mark.parametrize(("shape", "size", "filters"), CASES, ids=str)
def test_a_grid_of_few_phases_is_made_by_that_many_filters(
    shape: tuple[int, int], size: tuple[int, int], filters: int
) -> None:
    decoder = meta_upscale()
    predicted: list[int] = []
    decoder.filters.register_forward_hook(lambda module, inputs, output: predicted.append(output[..., 0].numel()))
    decoder(torch.randn(1, 3, *shape), size)
    assert predicted == ([filters] if filters <= 128 else [])


@given(
    shape=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    size=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    hidden=st.integers(1, 6),
    channels=st.integers(1, 3),
)
def test_random_sizes_equal_the_published_algorithm(
    shape: tuple[int, int], size: tuple[int, int], hidden: int, channels: int
) -> None:
    decoder = meta_upscale(hidden=hidden, channels=channels)
    features = torch.randn(1, 3, *shape)
    expected = published(decoder, features, size)
    assert_equal(by_positions(decoder, features, size), expected)
    assert_equal(by_filters(decoder, features, size), expected)


def test_any_point_equals_the_published_algorithm() -> None:
    decoder = meta_upscale()
    features = torch.randn(2, 3, 5, 6)
    points = 2 * torch.rand(60, 2) - 1
    for cell in ((0.1, 0.07), (0.7, 0.9)):
        expected = plain_decoders.meta_sr(decoder, features, points, cell)
        assert_equal(decoder.query(features, points, cell), expected)


def test_only_the_vertical_scale_is_told_to_the_network() -> None:
    decoder = meta_upscale()
    with torch.no_grad():
        decoder.hidden.weight[:, :2] = 0  # all that is left is the scale
    features = torch.randn(1, 3, 1, 1).expand(-1, -1, 6, 6).contiguous()
    center = (slice(None), slice(None), slice(3, -3), slice(3, -3))
    square, wide, tall = (decoder(features, size)[center] for size in ((12, 12), (12, 18), (18, 12)))
    torch.testing.assert_close(square[0, :, 3, 3], wide[0, :, 3, 3])
    assert not torch.allclose(square[0, :, 3, 3], tall[0, :, 3, 3])


def test_a_pixel_sees_as_far_as_declared() -> None:
    decoder = meta_upscale().double()
    declared = resolve({"channels": 3, "encoder": "edsr", "decoder": "meta-upscale"}).decoder.config.receptive_field()
    assert declared is not None
    for size in ((14, 16), (21, 24), (7, 32)):  # at whole scales corner and center are in the same pixel
        far = farthest(lambda x, to=size: decoder(x, to), torch.randn(1, 3, 7, 8, dtype=torch.float64))  # type: ignore[misc]
        assert far == 1 <= declared


def test_the_published_network_sees_minus_one_to_one() -> None:
    small = {"channels": 4, "blocks": 1}
    restorer = drawn(toolbox.build("metasr-edsr", encoder=small, decoder={"hidden": 5})).float()
    image = torch.rand(1, 3, 4, 5)
    features = plain.edsr(restorer.encoder, 2 * image - 1, 1.0)
    assert_equal(restorer(image, scale=2), published(restorer.decoder, features, (8, 10)) / 2 + 0.5)


@pytest.mark.parametrize(("name", "encoder"), [("metasr", "rdn"), ("metasr-edsr", "edsr")])
def test_the_catalog_has_the_published_networks(name: str, encoder: str) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name)
    assert restorer.spec.encoder.name == encoder
    expected = (3 * 256 + 256) + (256 * 64 * 9 * 3 + 64 * 9 * 3)
    assert sum(p.numel() for p in restorer.decoder.parameters()) == expected


@pytest.mark.parametrize("hidden", [0, -1, "wide", [256]])
def test_a_hidden_layer_that_cannot_be_is_refused(hidden: Any) -> None:
    with pytest.raises(SpecError, match=r"^decoder\.hidden: got "):
        resolve({"channels": 1, "encoder": "edsr", "decoder": {"name": "meta-upscale", "hidden": hidden}})
