"""Attention by tiles against the same written pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests import plain
from toolbox.nonlocal_blocks import attention
from toolbox.nonlocal_blocks.attention import attend
from toolbox.nonlocal_blocks.neighborhood import TopK, Whole, Window

BORDERS = ("clip", "zero", "shift")
NEIGHBORHOODS = [*(Window(size=3, border=border) for border in BORDERS), TopK(size=3, k=4), Whole()]
sizes = st.integers(1, 13)


def draw(height: int, width: int, batch: int = 1, channels: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values in float64."""
    shape = batch, channels, height, width
    queries, keys = torch.randn(*shape, dtype=torch.float64), torch.randn(*shape, dtype=torch.float64)
    return queries, keys, torch.randn(batch, channels + 1, height, width, dtype=torch.float64)


@given(
    height=sizes,
    width=sizes,
    size=st.sampled_from((1, 3, 5, 7, 15)),
    border=st.sampled_from(BORDERS),
    tile=st.sampled_from((1, 2, 5, 16)),
    states=st.integers(1, 3),
)
def test_windows_equal_the_plain_ones(height: int, width: int, size: int, border: str, tile: int, states: int) -> None:
    window = Window.model_validate({"size": size, "border": border})
    drawn = [draw(height, width, batch=2) for _ in range(states)]
    correlation = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "TILE", tile)
        for t, (queries, keys, values) in enumerate(drawn, 1):
            result, correlation = attend(queries, keys, values, window, correlation, propagates=True)
            expected = plain.attention([(q, k) for q, k, _ in drawn[:t]], values, size, border)
            torch.testing.assert_close(result, expected)


@given(height=sizes, width=sizes, queries_at_a_time=st.sampled_from((1, 20, 1024)), states=st.integers(1, 3))
def test_the_whole_image_equals_the_plain_one(height: int, width: int, queries_at_a_time: int, states: int) -> None:
    drawn = [draw(height, width, batch=2) for _ in range(states)]
    correlation = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "WHOLE_IMAGE_QUERIES", queries_at_a_time)
        for t, (queries, keys, values) in enumerate(drawn, 1):
            result, correlation = attend(queries, keys, values, Whole(), correlation, propagates=True)
            expected = plain.attention([(q, k) for q, k, _ in drawn[:t]], values, None)
            torch.testing.assert_close(result, expected)


@given(
    height=sizes,
    width=sizes,
    size=st.sampled_from((1, 3, 5, 15)),
    border=st.sampled_from(BORDERS),
    tile=st.sampled_from((2, 16)),
    best=st.integers(1, 30),
    softmax=st.booleans(),
    states=st.integers(1, 2),
)
def test_the_best_of_a_window_equal_the_plain_ones(
    height: int, width: int, size: int, border: str, tile: int, best: int, softmax: bool, states: int
) -> None:
    neighborhood = TopK.model_validate({"size": size, "border": border, "k": best})
    drawn = [draw(height, width, batch=2) for _ in range(states)]
    correlation = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "TILE", tile)
        for queries, keys, values in drawn:
            result, correlation = attend(
                queries, keys, values, neighborhood, correlation, "softmax" if softmax else "mean", propagates=True
            )
    pairs = [(queries, keys) for queries, keys, _ in drawn]
    expected = plain.attention(pairs, drawn[-1][2], size, border, best=best, softmax=softmax)
    torch.testing.assert_close(result, expected)


@given(height=sizes, width=sizes, size=st.sampled_from((1, 3, 15, None)), border=st.sampled_from(BORDERS))
def test_the_mean_divides_by_the_number_of_neighbors(height: int, width: int, size: int | None, border: str) -> None:
    neighborhood = Window.model_validate({"size": size, "border": border}) if size else Whole()
    queries, keys, values = draw(height, width, batch=2)
    result, _ = attend(queries, keys, values, neighborhood, weighting="mean")
    expected = plain.attention([(queries, keys)], values, size, border if size else "clip", softmax=False)
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("border", BORDERS)
def test_a_picture_of_several_tiles_of_the_shipped_size(border: str) -> None:
    window = Window.model_validate({"size": 5, "border": border})
    queries, keys, values = draw(attention.TILE + 3, 2 * attention.TILE + 1)
    result, _ = attend(queries, keys, values, window)
    torch.testing.assert_close(result, plain.attention([(queries, keys)], values, 5, border))


@given(height=sizes, width=sizes, border=st.sampled_from(("clip", "shift")))
def test_a_window_that_covers_the_image_is_the_whole_image(height: int, width: int, border: str) -> None:
    window = Window.model_validate({"size": 2 * max(height, width) + 1, "border": border})
    inputs = draw(height, width)
    torch.testing.assert_close(attend(*inputs, window)[0], attend(*inputs, Whole())[0])


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
def test_equal_values_are_gathered_unchanged_unless_zeros_take_part(neighborhood: Window | TopK | Whole) -> None:
    queries, keys, _ = draw(5, 6)
    gathered, _ = attend(queries, keys, torch.full((1, 2, 5, 6), 3.0, dtype=torch.float64), neighborhood)
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    torch.testing.assert_close(gathered[inside], torch.full_like(gathered[inside], 3.0))
    corner = gathered[0, 0, 0, 0].item()
    zeros = isinstance(neighborhood, Window) and neighborhood.border == "zero"
    assert corner < 2.99 if zeros else corner == pytest.approx(3.0)


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
def test_the_memory_layout_of_the_input_does_not_matter(neighborhood: Window | TopK | Whole) -> None:
    queries, keys, values = draw(5, 6, batch=2)
    expected, _ = attend(queries, keys, values, neighborhood)
    last = [tensor.contiguous(memory_format=torch.channels_last) for tensor in (queries, keys, values)]
    torch.testing.assert_close(attend(last[0], last[1], last[2], neighborhood)[0], expected)
    again = [torch.stack((tensor, tensor), -1).flatten(-2)[..., ::2] for tensor in (queries, keys, values)]
    assert not any(tensor.is_contiguous() for tensor in again)
    torch.testing.assert_close(attend(again[0], again[1], again[2], neighborhood)[0], expected)


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
def test_images_of_a_batch_do_not_see_each_other(neighborhood: Window | TopK | Whole) -> None:
    queries, keys, values = draw(4, 5, batch=3)
    together, _ = attend(queries, keys, values, neighborhood)
    for i in range(3):
        alone, _ = attend(queries[i : i + 1], keys[i : i + 1], values[i : i + 1], neighborhood)
        torch.testing.assert_close(together[i : i + 1], alone)


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
def test_single_precision_is_close_to_double(neighborhood: Window | TopK | Whole) -> None:
    queries, keys, values = draw(6, 5)
    expected, _ = attend(queries, keys, values, neighborhood)
    single, _ = attend(queries.float(), keys.float(), values.float(), neighborhood)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
def test_correlations_are_raw_sums(neighborhood: Window | TopK | Whole) -> None:
    first, second = draw(4, 5), draw(4, 5)
    _, before = attend(*first, neighborhood, propagates=True)
    _, alone = attend(*second, neighborhood, propagates=True)
    assert before is not None
    assert alone is not None
    expected = [previous + own for previous, own in zip(before, alone, strict=True)]
    _, after = attend(*second, neighborhood, before, propagates=True)
    torch.testing.assert_close(after, tuple(expected))


def test_without_gradients_the_memory_of_earlier_correlations_is_used_again() -> None:
    _, before = attend(*draw(4, 5), Window(size=3), propagates=True)
    _, after = attend(*draw(4, 5), Window(size=3), before, propagates=True)
    assert before is not None
    assert after is not None
    assert [tensor.data_ptr() for tensor in after] == [tensor.data_ptr() for tensor in before]


def test_correlations_are_kept_only_where_they_are_propagated() -> None:
    assert attend(*draw(4, 5), Window(size=3))[1] is None


def test_pairs_outside_the_window_have_no_correlation() -> None:
    queries, keys, values = draw(1, 5)
    _, correlation = attend(queries, keys, values, Window(size=3), propagates=True)
    assert correlation is not None
    near = (torch.arange(5)[:, None] - torch.arange(5)).abs() <= 1
    assert torch.equal(correlation[0][0].isneginf(), ~near)
    products = torch.einsum("ci,cj->ij", queries[0, :, 0], keys[0, :, 0])
    torch.testing.assert_close(correlation[0][0][near], products[near])


@pytest.mark.parametrize("pairs", [1, 200, 10**6], ids="{} pairs at a time".format)
@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
def test_recording_gradients_changes_nothing(
    neighborhood: Window | TopK | Whole, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "TILE", 2)
    monkeypatch.setattr(attention, "PAIRS_AT_A_TIME", pairs)
    first, second = draw(9, 7, batch=2), draw(9, 7, batch=2)

    def two_states(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
        _, correlation = attend(first[0], first[1], first[2], neighborhood, propagates=True)
        return attend(second[0], second[1], second[2], neighborhood, correlation)[0]

    recorded = two_states([tensor.clone().requires_grad_() for tensor in first], second)
    assert recorded.requires_grad
    with torch.inference_mode():
        torch.testing.assert_close(two_states(first, second), recorded.detach())


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
def test_half_precision_is_what_autocast_makes_of_it(neighborhood: Window | TopK | Whole, gradients: bool) -> None:
    inputs = [tensor.float().requires_grad_(gradients) for tensor in draw(9, 11)]
    # Numbers that half precision holds, so that both choose the same of a window.
    queries, keys, values = (tensor.detach().mul(4).round().div(4).requires_grad_(gradients) for tensor in inputs)
    expected, _ = attend(queries, keys, values, neighborhood)
    with torch.autocast("cpu", torch.bfloat16):
        result, _ = attend(queries, keys, values, neighborhood)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result.float(), expected, atol=3e-2, rtol=3e-2)


@pytest.mark.parametrize("tile", [2, 16])
@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
def test_gradients_of_two_states_are_those_of_the_numbers(
    neighborhood: Window | TopK | Whole, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "TILE", tile)
    monkeypatch.setattr(attention, "WHOLE_IMAGE_QUERIES", tile)

    def two_states(*inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        queries, keys, values, *others = inputs
        first, correlation = attend(queries, keys, values, neighborhood, propagates=True)
        second, correlation = attend(others[0], others[1], others[2], neighborhood, correlation, propagates=True)
        third, _ = attend(queries, keys, values, neighborhood, correlation, "mean")
        return first, second, third

    inputs = (*draw(3, 4, channels=1), *draw(3, 4, channels=1))
    for tensor in inputs:
        tensor.requires_grad_()
    assert torch.autograd.gradcheck(two_states, inputs, fast_mode=True)
