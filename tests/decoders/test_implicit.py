"""What holds for every implicit decoder: grid and query are the same function of position."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.parts import decoder_of
from toolbox.decoders.coordinates import pixel_centers
from toolbox.plugins import registries

VARIANTS: list[dict[str, Any]] = [
    {"name": "dual-interactive", "hidden": [4, 5]},
    {"name": "dual-interactive", "hidden": [4, 5], "initial_synthesis": True},
    {"name": "dual-interactive", "hidden": [4, 5], "output_kernel": 3},
    {"name": "dual-interactive", "hidden": [4, 5], "modulation_input": "modulation"},
    {"name": "local-ensemble", "hidden": [4, 5]},
    {"name": "local-ensemble", "hidden": [4, 5], "local_ensemble": False},
    {"name": "local-ensemble", "hidden": [4, 5], "cell_decoding": False, "feature_unfolding": False},
    {"name": "meta-upscale", "hidden": 4},
]
variant = pytest.mark.parametrize("spec", VARIANTS, ids=lambda spec: "-".join(map(str, spec.values())))


def centers(size: tuple[int, int]) -> torch.Tensor:
    """(H'·W', 2): the centers of a grid's pixels, (y, x)."""
    y, x = (pixel_centers(n, torch.device("cpu")) for n in size)
    return torch.cartesian_prod(y, x)


def test_every_implicit_decoder_is_here() -> None:
    decoders = registries().components["decoder"]
    implicit = {info.name for info in decoders if hasattr(info.factory, "query")}
    assert implicit == {spec["name"] for spec in VARIANTS}


@given(
    spec=st.sampled_from(VARIANTS),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    size=st.tuples(st.integers(2, 12), st.integers(2, 12)),
    chunk=st.sampled_from((1, 30, 16384)),
)
def test_a_query_at_the_centers_of_a_grid_is_the_grid(
    spec: dict[str, Any], height: int, width: int, size: tuple[int, int], chunk: int
) -> None:
    decoder = decoder_of(spec, features=3)
    features = torch.randn(2, 3, height, width, dtype=torch.float64)
    grid = decoder(features, size)
    decoder.chunk = chunk
    queried = decoder.query(features, centers(size), (2 / size[0], 2 / size[1]))
    torch.testing.assert_close(queried, grid.flatten(2).transpose(1, 2), atol=1e-5, rtol=1e-5)


@variant
def test_points_may_differ_between_the_images_of_a_batch(spec: dict[str, Any]) -> None:
    decoder = decoder_of(spec, features=3)
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    points = 1.8 * torch.rand(2, 7, 2, dtype=torch.float64) - 0.9
    together = decoder.query(features, points, (0.3, 0.2))
    assert together.shape == (2, 7, 2)
    for i in range(2):
        torch.testing.assert_close(together[i], decoder.query(features[i : i + 1], points[i], (0.3, 0.2))[0])


@variant
def test_the_size_of_a_chunk_does_not_matter(spec: dict[str, Any]) -> None:
    decoder = decoder_of(spec, features=3)
    features = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    expected = decoder(features, (9, 7))
    decoder.chunk = 8
    torch.testing.assert_close(decoder(features, (9, 7)), expected)


@variant
def test_any_size_is_decoded_from_any_size(spec: dict[str, Any]) -> None:
    decoder = decoder_of(spec, features=3)
    for shape in ((1, 1), (1, 4), (3, 1)):
        features = torch.randn(1, 3, *shape, dtype=torch.float64)
        for size in ((1, 1), (1, 5), (5, 1), (2, 3), (9, 8)):
            decoded = decoder(features, size)
            assert decoded.shape == (1, 2, *size)
            assert decoded.isfinite().all()
