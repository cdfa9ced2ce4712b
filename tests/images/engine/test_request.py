"""The size that is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.images.samples import identity
from toolbox.errors import ImageError, SpecError
from toolbox.images.engine.request import Geometry


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({}, (600, 800)),
        ({"scale": 2.5}, (1500, 2000)),
        ({"scale": (3.0, 2.0)}, (1800, 1600)),
        ({"scale": 0.5}, (300, 400)),
        ({"size": (1080, 1920)}, (1080, 1920)),
        ({"width": 1920}, (1440, 1920)),
        ({"width": 10}, (8, 10)),  # 7.5 rounded up
        ({"height": 1080}, (1080, 1440)),
        ({"long_edge": 4000}, (3000, 4000)),
        ({"long_edge": 100}, (75, 100)),
        ({"width": 1}, (1, 1)),
    ],
)
def test_a_size_is_worked_out(asked: dict[str, Any], size: tuple[int, int]) -> None:
    geometry = Geometry(**asked)
    assert geometry.size_for(identity(), 600, 800) == size
    assert geometry.given == bool(asked)


def side(name: str, pixels: int) -> Geometry:
    given: dict[str, Any] = {name: pixels}
    return Geometry(**given)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 6000))
def test_the_side_that_is_asked_for_is_exact_and_the_other_in_proportion(height: int, width: int, asked: int) -> None:
    network = identity()
    for name in ("width", "height", "long_edge"):
        try:
            size = side(name, asked).size_for(network, height, width)
        except SpecError:  # more than any memory holds
            continue
        exact = {"width": size[1], "height": size[0], "long_edge": size[0] if height >= width else size[1]}[name]
        assert exact == asked
        assert abs(size[0] * width - size[1] * height) <= max(width, height) * 0.51 or 1 in size


@pytest.mark.parametrize("name", ["width", "height", "long_edge"])
def test_no_side_is_refused(name: str) -> None:
    with pytest.raises(ImageError, match=rf"^got {name} 0, expected a positive number of pixels$"):
        side(name, 0).size_for(identity(), 5, 6)
