"""Where output pixels lie among feature pixels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from toolbox.decoders.coordinates import Positions, clipped_cell, grid, nearest, offset, pixel_centers, stack

CPU = torch.device("cpu")
counts = st.integers(1, 60)


@given(count=counts)
def test_pixels_cover_minus_one_to_one_evenly(count: int) -> None:
    expected = [-1 + (i + 0.5) * 2 / count for i in range(count)]
    assert pixel_centers(count, CPU).tolist() == pytest.approx(expected)


def test_a_grid_is_the_pixel_centers_of_both_axes_and_its_cell() -> None:
    positions = grid((2, 4), CPU)
    assert positions.y.tolist() == [[-0.5], [0.5]]
    assert positions.x.tolist() == [[-0.75, -0.25, 0.25, 0.75]]
    assert positions.cell == (1.0, 0.5)
    assert positions.counts == (2, 4)


@given(features=counts, outputs=counts)
def test_on_a_grid_the_nearest_is_the_one_of_nearest_exact(features: int, outputs: int) -> None:
    found = nearest(pixel_centers(outputs, CPU), outputs, features)
    pixels = torch.arange(features, dtype=torch.float32)[None, None, :, None].expand(-1, -1, -1, 2)
    picked = F.interpolate(pixels, size=(outputs, 2), mode="nearest-exact")[0, 0, :, 0]
    assert found.tolist() == picked.long().tolist()


@pytest.mark.parametrize(("features", "outputs"), [(2, 61), (4, 41), (4, 122), (6, 37)])
def test_a_center_on_an_edge_is_rounded_as_nearest_exact_rounds_it(features: int, outputs: int) -> None:
    found = nearest(pixel_centers(outputs, CPU), outputs, features)
    pixels = torch.arange(features, dtype=torch.float32)[None, None, :, None].expand(-1, -1, -1, 2)
    picked = F.interpolate(pixels, size=(outputs, 2), mode="nearest-exact")[0, 0, :, 0]
    assert found.tolist() == picked.long().tolist()
    assert found.tolist() != [(2 * i + 1) * features // (2 * outputs) for i in range(outputs)]  # exact arithmetic


@given(features=counts, outputs=counts)
def test_nearest_and_offset_lead_back_to_the_position(features: int, outputs: int) -> None:
    centers = pixel_centers(outputs, CPU)
    pixel = nearest(centers, outputs, features)
    away = offset(centers, pixel, features)
    assert away.abs().max().item() <= 1 + 1e-5  # on an edge, float32 may pick either side
    torch.testing.assert_close(pixel_centers(features, CPU)[pixel] + away / features, centers)


@given(
    features=counts,
    outputs=counts,
    position=st.floats(-1, 1, exclude_max=True).filter(lambda position: abs(position) > 1e-9),
)
def test_off_the_grid_the_nearest_covers_the_position(features: int, outputs: int, position: float) -> None:
    found = int(nearest(torch.tensor([position], dtype=torch.float64), outputs, features))
    assert 0 <= found < features
    slack = 2e-3 / outputs + 1e-6  # so close to a center of the grid, it is taken for it
    assert -1 + 2 * found / features - slack <= position <= -1 + 2 * (found + 1) / features + slack


def test_scale_two_has_two_phases() -> None:
    centers = pixel_centers(6, CPU)
    pixel = nearest(centers, 6, 3)
    assert pixel.tolist() == [0, 0, 1, 1, 2, 2]
    assert offset(centers, pixel, 3).tolist() == pytest.approx([-0.5, 0.5] * 3)


@given(size=st.tuples(st.integers(1, 9), st.integers(1, 9)), most=st.integers(1, 100))
def test_chunks_of_a_grid_are_the_grid_in_pieces_that_are_small_enough(size: tuple[int, int], most: int) -> None:
    positions = grid(size, CPU)
    chunks = list(positions.chunks(most))
    assert torch.equal(torch.cat([chunk.y.expand(-1, size[1]) for chunk in chunks]), positions.y.expand(size))
    assert torch.equal(torch.cat([chunk.x.expand(len(chunk.y), -1) for chunk in chunks]), positions.x.expand(size))
    assert all(len(chunk.y) * size[1] <= max(most, size[1]) for chunk in chunks)
    assert all((chunk.cell, chunk.counts) == (positions.cell, size) for chunk in chunks)


@given(count=st.integers(1, 30), most=st.integers(1, 40))
def test_chunks_of_points_are_the_points(count: int, most: int) -> None:
    y, x = torch.rand(2, count, dtype=torch.float64)
    chunks = list(Positions(y, x, (1.0, 1.0), (2, 2)).chunks(most))
    assert torch.equal(torch.cat([chunk.y for chunk in chunks]), y)
    assert torch.equal(torch.cat([chunk.x for chunk in chunks]), x)
    assert all(len(chunk.y) <= most for chunk in chunks)


def test_stacking_broadcasts_numbers_and_axes_in_the_type_asked_for() -> None:
    y, x = torch.zeros(2, 1, dtype=torch.float64), torch.ones(1, 3, dtype=torch.float64)
    stacked = stack(y, x, 0.5, like=torch.empty(0, dtype=torch.float32))
    assert stacked.dtype == torch.float32
    assert stacked.shape == (2, 3, 3)
    assert stacked[1, 2].tolist() == [0, 1, 0.5]


@given(scale=st.floats(0.2, 20), ratio=st.floats(0.5, 2), largest=st.floats(1, 8))
def test_a_clipped_cell_is_that_of_the_largest_scale_at_most(scale: float, ratio: float, largest: float) -> None:
    cell = 2 / scale, 2 / (scale * ratio)
    clipped = clipped_cell(cell, largest)
    assert clipped[0] == pytest.approx(2 / min(scale, largest))
    assert clipped[0] / clipped[1] == pytest.approx(ratio)
    assert clipped_cell(cell, None) == cell
