"""Bicubic resizing: by PyTorch, and by one formula for all sizes where a trace does not know which is larger."""

from __future__ import annotations

import torch
from hypothesis import example, given
from hypothesis import strategies as st

from toolbox.resize import _resampled, enlarged_rows, is_size, resize, rows_to_enlarge

sides = st.integers(1, 12)


@given(height=sides, width=sides, size=st.tuples(st.integers(1, 30), st.integers(1, 30)))
@example(height=5, width=6, size=(5, 6))
@example(height=7, width=3, size=(3, 1))
@example(height=3, width=7, size=(6, 1))
def test_one_formula_gives_what_pytorch_gives(height: int, width: int, size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, height, width, dtype=torch.float64)
    torch.testing.assert_close(_resampled(image, size), resize(image, size), rtol=1e-9, atol=1e-9)


def test_the_formula_keeps_the_type() -> None:
    image = torch.rand(1, 1, 4, 5)
    assert _resampled(image, (3, 9)).dtype == torch.float32
    torch.testing.assert_close(_resampled(image, (8, 10)), resize(image, (8, 10)), rtol=1e-5, atol=1e-6)


def test_the_size_is_compared_on_both_axes() -> None:
    image = torch.rand(1, 1, 4, 5)
    assert is_size(image, (4, 5))
    assert not is_size(image, (4, 6))
    assert not is_size(image, (5, 5))
    assert resize(image, (4, 5)) is image


@given(height=st.integers(1, 30), more=st.integers(0, 60), width=sides, wider=st.integers(0, 9), data=st.data())
def test_some_rows_are_enlarged_as_in_the_whole(
    height: int, more: int, width: int, wider: int, data: st.DataObject
) -> None:
    size = (height + more, width + wider)
    start = data.draw(st.integers(0, size[0] - 1))
    stop = data.draw(st.integers(start + 1, size[0]))
    image = torch.rand(1, 2, height, width, dtype=torch.float64)
    first, last = rows_to_enlarge(height, size, start, stop)
    assert 0 <= first < last <= height
    found = enlarged_rows(image[:, :, first:last], first, height, size, start, stop)
    torch.testing.assert_close(found, resize(image, size)[:, :, start:stop], rtol=0, atol=1e-12)


def test_few_rows_of_the_image_are_needed() -> None:
    first, last = rows_to_enlarge(1000, (2370, 10), 1200, 1240)
    assert last - first <= 40 / 2.37 + 5
