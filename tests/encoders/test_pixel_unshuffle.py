"""Any encoder at a fraction of the resolution."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.parts import encoder_of, encoder_radius
from toolbox.errors import SpecError
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest


def around(factor: int, inner: dict[str, Any]) -> dict[str, Any]:
    return {"name": "pixel-unshuffle", "factor": factor, "encoder": inner}


@given(height=st.integers(1, 9), width=st.integers(1, 9), factor=st.integers(2, 4))
def test_folding_and_unfolding_lose_nothing_at_any_size(height: int, width: int, factor: int) -> None:
    image = torch.randn(2, 3, height, width)
    assert torch.equal(encoder_of(around(factor, {"name": "identity"}), channels=3)(image), image)


@given(height=st.integers(1, 7), width=st.integers(1, 7), factor=st.integers(2, 3))
def test_the_inner_encoder_works_on_every_factor_th_pixel(height: int, width: int, factor: int) -> None:
    encoder = encoder_of(around(factor, {"name": "edsr", "channels": 2 * factor**2, "blocks": 1}))
    image = torch.randn(2, 2, height, width, dtype=torch.float64)
    rows = [min(y, height - 1) for y in range(-(-height // factor) * factor)]
    columns = [min(x, width - 1) for x in range(-(-width // factor) * factor)]
    repeated = image[:, :, rows][..., columns]
    phases = [(dy, dx) for dy in range(factor) for dx in range(factor)]
    folded = torch.stack([repeated[:, :, dy::factor, dx::factor] for dy, dx in phases], 2).flatten(1, 2)
    inner = encoder.encoder(folded).unflatten(1, (2, factor**2))
    expected = torch.empty_like(repeated)
    for i, (dy, dx) in enumerate(phases):
        expected[:, :, dy::factor, dx::factor] = inner[:, :, i]
    torch.testing.assert_close(encoder(image), expected[:, :, :height, :width])


@pytest.mark.parametrize("factor", [2, 3])
def test_a_feature_sees_as_far_as_declared(factor: int) -> None:
    spec = around(factor, {"name": "edsr", "channels": factor**2, "blocks": 1})
    far = farthest(encoder_of(spec), torch.randn(1, 2, 6 * factor, 7 * factor - 1, dtype=torch.float64))
    assert far == encoder_radius(spec) == factor * 5 - 1


def test_features_repeat_when_the_image_moves_by_the_alignment() -> None:
    encoder = encoder_of(around(3, {"name": "edsr", "channels": 9, "blocks": 1}))
    image = torch.randn(1, 2, 40, 12, dtype=torch.float64)
    spec = {"channels": 2, "encoder": around(3, around(2, {"name": "identity"})), "decoder": "residual-conv"}
    assert resolve(spec).encoder.config.alignment() == 6
    for moved in (1, 3):
        whole, part = encoder(image)[:, :, 14 + moved : 25], encoder(image[:, :, moved:])[:, :, 14 : 25 - moved]
        same = torch.allclose(whole, part, rtol=0, atol=1e-9)
        assert same == (moved == 3)


def test_an_encoder_that_sees_everything_still_does() -> None:
    whole = {"name": "soft-block-matching", "neighborhood": {"kind": "whole"}}
    inner = {"name": "recurrent", "transition": {"name": "nonlocal-residual", "channels": 4, "nonlocal": whole}}
    assert encoder_radius(around(2, inner)) is None


def test_channels_that_do_not_unfold_are_refused_in_the_spec() -> None:
    spec = {"channels": 3, "encoder": around(3, {"name": "edsr"}), "decoder": "residual-conv"}
    expected = r"^encoder: pixel-unshuffle got 64 channels of 'edsr', expected a multiple of 9 \(factor 3 squared\)$"
    with pytest.raises(SpecError, match=expected):
        resolve(spec)


def test_a_factor_of_one_is_refused() -> None:
    spec = {"channels": 3, "encoder": around(1, {"name": "edsr"}), "decoder": "residual-conv"}
    with pytest.raises(SpecError, match=r"^encoder\.factor: got 1, expected greater than 1$"):
        resolve(spec)
