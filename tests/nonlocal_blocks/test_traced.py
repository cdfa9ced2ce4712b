"""Attention as a graph against attention tile by tile."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toolbox.nonlocal_blocks.attention import attend
from toolbox.nonlocal_blocks.neighborhood import TopK, Whole, Window
from toolbox.nonlocal_blocks.traced import TILE, attend_at_once
from toolbox.nonlocal_blocks.weighting import Weighting

sizes = st.integers(1, 2 * TILE + 3)
windows = st.fixed_dictionaries(
    {"size": st.sampled_from((1, 3, 5, 15)), "border": st.sampled_from(("clip", "zero", "shift"))}
)
neighborhoods = (
    st.just(Whole())
    | windows.map(Window.model_validate)
    | st.builds(lambda window, k: TopK.model_validate({**window, "k": k}), windows, st.integers(1, 30))
)


def draw(height: int, width: int, batch: int = 2) -> list[Tensor]:
    """Queries, keys and values in float64."""
    return [torch.randn(batch, channels, height, width, dtype=torch.float64) for channels in (3, 3, 4)]


@given(
    height=sizes,
    width=sizes,
    neighborhood=neighborhoods,
    weighting=st.sampled_from(("softmax", "mean")),
    states=st.integers(1, 3),
)
def test_it_gives_the_same(height: int, width: int, neighborhood: Any, weighting: Weighting, states: int) -> None:
    before, correlation = None, None
    for _ in range(states):
        queries, keys, values = draw(height, width)
        found, before = attend_at_once(queries, keys, values, neighborhood, before, weighting)
        expected, correlation = attend(queries, keys, values, neighborhood, correlation, weighting, propagates=True)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("border", ["clip", "zero", "shift"])
def test_gradients_are_those_of_the_numbers(border: Any) -> None:
    inputs = [tensor.requires_grad_() for tensor in draw(3, 4, batch=1)]

    def two_states(*inputs: Tensor) -> Tensor:
        queries, keys, values = inputs
        _, correlation = attend_at_once(queries, keys, values, Window(size=3, border=border), None, "softmax")
        return attend_at_once(keys, queries, values, Window(size=3, border=border), correlation, "softmax")[0]

    assert torch.autograd.gradcheck(two_states, inputs, fast_mode=True)


@pytest.mark.parametrize("neighborhood", [Window(size=3), TopK(size=3, k=2), Whole()], ids=str)
def test_a_compiled_block_can_be_trained(neighborhood: Any) -> None:
    """Also what fills up the last tiles has a finite gradient."""
    inputs = [tensor.requires_grad_() for tensor in draw(5, 9)]
    again = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    torch.compiler.reset()
    compiled = torch.compile(attend, backend="aot_eager", fullgraph=True, dynamic=True)
    compiled(inputs[0], inputs[1], inputs[2], neighborhood)[0].square().sum().backward()
    attend(again[0], again[1], again[2], neighborhood)[0].square().sum().backward()
    for one, other in zip(inputs, again, strict=True):
        torch.testing.assert_close(one.grad, other.grad)
