"""The geometry of neighborhoods: which query sees which key."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests import plain
from toolbox.nonlocal_blocks.neighborhood import TopK, Whole, Window, segments

BORDERS = ("clip", "zero", "shift")
odd = st.integers(0, 9).map(lambda n: 2 * n + 1)


@given(length=st.integers(1, 40), size=odd, border=st.sampled_from(BORDERS), tile=st.integers(1, 17))
def test_every_query_sees_its_window_and_nothing_else(length: int, size: int, border: str, tile: int) -> None:
    margin = size // 2 if border == "zero" else 0
    cut = segments(length, Window.model_validate({"size": size, "border": border}), tile)
    seen = {}
    for segment in cut:
        keys = list(range(segment.key_start, segment.key_stop))
        for row, query in enumerate(range(segment.start, segment.stop)):
            outside = segment.outside(torch.zeros(1))[row].tolist()
            seen[query] = [key - margin for key, masked in zip(keys, outside, strict=True) if masked == 0]
    assert seen == {query: plain.window(query, length, size, border) for query in range(length)}


@given(length=st.integers(1, 100), size=odd, border=st.sampled_from(BORDERS), tile=st.integers(1, 17))
def test_segments_cut_the_axis_without_gaps_into_at_most_tile_queries(
    length: int, size: int, border: str, tile: int
) -> None:
    cut = segments(length, Window.model_validate({"size": size, "border": border}), tile)
    assert [query for segment in cut for query in range(segment.start, segment.stop)] == list(range(length))
    assert all(1 <= segment.stop - segment.start <= tile for segment in cut)


@pytest.mark.parametrize(("border", "radius"), [("clip", 3), ("zero", 3), ("shift", 6)])
def test_a_window_moved_inside_sees_farther(border: str, radius: int) -> None:
    assert Window.model_validate({"size": 7, "border": border}).radius() == radius


def test_the_best_of_a_window_see_as_far_as_the_window() -> None:
    assert TopK(size=7, k=2).radius() == 3


def test_the_whole_image_has_no_radius() -> None:
    assert Whole().radius() is None  # type: ignore[func-returns-value]


def test_a_window_is_45_pixels_clipped_unless_said_otherwise() -> None:
    assert Window() == Window(kind="window", size=45, border="clip")
