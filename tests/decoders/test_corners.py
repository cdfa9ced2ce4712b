"""The four feature pixels around a position: found as grid_sample finds them, weighted as bilinear interpolation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolbox.decoders import plain
from toolbox.decoders.coordinates import Positions, grid, pixel_centers
from toolbox.decoders.corners import along, area_weights, corners
from toolbox.decoders.skip import resized

CPU = torch.device("cpu")
sides = st.integers(1, 20)


@given(shape=st.tuples(sides, sides), size=st.tuples(sides, sides))
def test_on_a_grid_they_are_the_pixels_that_grid_sample_picks(shape: tuple[int, int], size: tuple[int, int]) -> None:
    around, expected = corners(grid(size, CPU), *shape), plain.plain_corners(shape, size)
    assert len(around) == len(expected) == 4
    for corner, (pixel, down, right) in zip(around, expected, strict=True):
        assert torch.equal((corner.row * shape[1] + corner.column).expand(size), pixel)
        assert torch.equal(corner.down.expand(size), down)
        assert torch.equal(corner.right.expand(size), right)
    weights = zip(
        area_weights(around, torch.zeros(())), plain.plain_area_weights(expected, torch.zeros(())), strict=True
    )
    for weight, published in weights:
        torch.testing.assert_close(weight, published, rtol=1e-6, atol=0)


@given(shape=st.tuples(sides, sides), points=st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1))
def test_the_weights_are_those_of_bilinear_interpolation(
    shape: tuple[int, int], points: list[tuple[float, float]]
) -> None:
    y, x = torch.tensor(points, dtype=torch.float64).unbind(-1)
    around = corners(Positions(y, x, (0.1, 0.1), (20, 20)), *shape)
    weights = area_weights(around, y)
    torch.testing.assert_close(torch.stack(weights).sum(0), torch.ones_like(y))
    # At the border one pixel is seen twice.
    inside = (y.abs() < 1 - 1 / shape[0] - 1e-4) & (x.abs() < 1 - 1 / shape[1] - 1e-4)
    down = torch.stack([pixel_centers(shape[0], CPU)[corner.row] for corner in around])
    right = torch.stack([pixel_centers(shape[1], CPU)[corner.column] for corner in around])
    for position, centers in ((y, down), (x, right)):
        seen = (centers * torch.stack(weights)).sum(0)
        torch.testing.assert_close(seen[inside], position[inside], rtol=0, atol=1e-5)


def test_on_a_grid_the_weighted_pixels_are_the_bilinear_enlargement() -> None:
    image = torch.rand(6, 7, dtype=torch.float64)
    around = corners(grid((24, 28), CPU), 6, 7)
    found = torch.stack(
        [
            image[corner.row, corner.column] * weight
            for corner, weight in zip(around, area_weights(around, image), strict=True)
        ]
    ).sum(0)
    inside = slice(2, -2)  # within the outer centers
    torch.testing.assert_close(
        found[inside, inside], resized(image[None, None], (24, 28), "bilinear")[0, 0, inside, inside], rtol=0, atol=1e-5
    )


def test_without_the_ensemble_it_is_the_covering_pixel_alone() -> None:
    (corner,) = corners(grid((6, 9), CPU), 2, 3, ensemble=False)
    assert corner.row[:, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert corner.column[0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert torch.equal(area_weights([corner], torch.zeros(()))[0], torch.ones(6, 9))
    assert corner.down[:, 0].tolist() == pytest.approx([-2 / 3, 0, 2 / 3, -2 / 3, 0, 2 / 3], abs=1e-6)


def test_a_shift_may_be_of_any_length() -> None:
    position = torch.tensor([-0.9, 0.1, 0.9], dtype=torch.float64)
    (left, away), (right, _) = along(position, 20, 10, (-4, 4))
    assert left.tolist() == [0, 3, 7]
    assert right.tolist() == [2, 7, 9]
    assert away.tolist() == pytest.approx([0, 4, 4], abs=1e-5)
