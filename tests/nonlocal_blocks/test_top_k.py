"""Block matching: only the pixels of a window that correlate most take part."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests import plain, plain_decoders
from toolbox.errors import SpecError
from toolbox.nonlocal_blocks import attention
from toolbox.nonlocal_blocks.attention import attend
from toolbox.nonlocal_blocks.neighborhood import TopK, Window
from toolbox.nonlocal_blocks.soft_block_matching import SoftBlockMatching, SoftBlockMatchingConfig
from toolbox.resolve import resolve
from toolbox.testing.measure import drawn, farthest

BORDERS = ("clip", "zero", "shift")
border = pytest.mark.parametrize("border", BORDERS)
lengths = st.integers(1, 7)


def draw(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values in float64."""
    queries, keys = torch.randn(2, 2, 3, height, width, dtype=torch.float64)
    return queries, keys, torch.randn(2, 4, height, width, dtype=torch.float64)


def top_k(size: int, k: int, border: str) -> TopK:
    return TopK.model_validate({"size": size, "k": k, "border": border})


@given(
    height=lengths,
    width=lengths,
    size=st.sampled_from((1, 3, 5)),
    k=st.integers(1, 12),
    border=st.sampled_from(BORDERS),
    tile=st.sampled_from((2, 16)),
)
def test_it_averages_the_best_by_softmax(height: int, width: int, size: int, k: int, border: str, tile: int) -> None:
    queries, keys, values = draw(height, width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "TILE", tile)
        result, _ = attend(queries, keys, values, top_k(size, k, border))
    expected = plain_decoders.gathered(queries, keys, values, size=size, border=border, best=k)
    torch.testing.assert_close(result, expected)


@border
@pytest.mark.parametrize("k", [25, 26, 1000])
def test_the_best_of_no_more_than_there_are_is_the_window(border: str, k: int) -> None:
    inputs = draw(6, 9)
    window = Window.model_validate({"size": 5, "border": border})
    torch.testing.assert_close(attend(*inputs, top_k(5, k, border))[0], attend(*inputs, window)[0])


def test_at_a_clipped_border_there_are_fewer_to_choose_from() -> None:
    queries, keys, values = draw(4, 4)
    few, window = attend(queries, keys, values, top_k(3, 4, "clip"))[0], Window(size=3)
    all_of_them = attend(queries, keys, values, window)[0]
    torch.testing.assert_close(few[..., 0, 0], all_of_them[..., 0, 0])  # a corner sees four pixels
    assert not torch.allclose(few[..., 1, 1], all_of_them[..., 1, 1])


@border
def test_the_best_one_is_copied(border: str) -> None:
    queries, keys, values = draw(5, 6)
    result, _ = attend(queries, keys, values, top_k(3, 1, border))
    for y in range(5):
        for x in range(6):
            seen = [(i, j) for i in plain.window(y, 5, 3, border) for j in plain.window(x, 6, 3, border)]
            inside = {
                (i, j): (queries[0, :, y, x] @ keys[0, :, i, j]).item() for i, j in seen if 0 <= i < 5 and 0 <= j < 6
            }
            best = max(inside, key=lambda place: inside[place])
            copied = values[0, :, best[0], best[1]]
            if len(inside) < len(seen) and inside[best] < 0:  # a zero beyond the border correlates more
                copied = torch.zeros_like(copied)
            torch.testing.assert_close(result[0, :, y, x], copied)


def test_correlations_are_chosen_from_after_they_are_added_up() -> None:
    first, second = draw(5, 6), draw(5, 6)
    _, correlation = attend(*first, top_k(3, 2, "clip"), propagates=True)
    result, _ = attend(*second, top_k(3, 2, "clip"), correlation)
    queries, keys = (torch.cat((before, now), 1) for before, now in zip(first[:2], second[:2], strict=True))
    torch.testing.assert_close(result, plain_decoders.gathered(queries, keys, second[2], size=3, best=2))


@border
def test_the_block_sees_as_far_as_declared(border: str) -> None:
    settings = {"neighborhood": {"kind": "top-k", "size": 5, "k": 7, "border": border}, "embedding_channels": 2}
    config = SoftBlockMatchingConfig.model_validate(settings)
    module = drawn(SoftBlockMatching(config, 3))
    declared = 4 if border == "shift" else 2
    assert config.receptive_field() == declared
    # Two images, so that whatever one of them does not choose, another may.
    found = [
        farthest(lambda features: module(features)[0], 3 * torch.randn(1, 3, 7, 8, dtype=torch.float64))
        for _ in range(2)
    ]
    assert max(found) == declared


@border
def test_gradients_are_those_of_the_numbers(border: str) -> None:
    inputs = [tensor[:1].requires_grad_() for tensor in draw(3, 4)]
    neighborhood = top_k(3, 3, border)
    assert torch.autograd.gradcheck(lambda q, k, v: attend(q, k, v, neighborhood)[0], inputs)


def test_the_catalog_has_nlrn_with_block_matching() -> None:
    config = resolve("nlrn-block-matching").encoder.config
    neighborhood = config.transition.config.nonlocal_block.config.neighborhood
    assert neighborhood == TopK(size=45, k=16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, r"k: got 0, expected greater than 0$"),
        ({"k": -3}, r"k: got -3, expected greater than 0$"),
        ({"k": 2.5}, r"k: got 2\.5, expected a valid integer"),
        ({"size": 44}, r"size: got 44, expected an odd number$"),
        ({"border": "mirror"}, r"border: got 'mirror', expected 'clip', 'zero' or 'shift'$"),
        ({"kk": 3}, r"kk: unknown key; did you mean 'k'\?$"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_the_spec(settings: dict[str, Any], message: str) -> None:
    block = {"name": "soft-block-matching", "neighborhood": {"kind": "top-k", **settings}}
    encoder = {"name": "nonlocal", "nonlocal": block}
    with pytest.raises(SpecError, match=r"^encoder\.nonlocal\.neighborhood\." + message):
        resolve({"channels": 1, "encoder": encoder, "decoder": "residual-conv"})
