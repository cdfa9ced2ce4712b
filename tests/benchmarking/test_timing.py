"""Timing: turns, medians, spreads; no test says how fast anything is."""

from __future__ import annotations

import pytest
import torch

from toolbox.benchmarking.timing import Timing, interleaved, peak_work


def test_pieces_take_turns_after_one_round_that_does_not_count() -> None:
    turns: list[str] = []
    pieces = {"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}
    timings = interleaved(pieces, 3, torch.device("cpu"))
    assert turns == ["a", "b"] * 4
    assert [len(timing.times) for timing in timings.values()] == [3, 3]


def test_the_median_and_the_spread_are_of_the_times() -> None:
    timing = Timing((1.0, 2.0, 3.0, 4.0, 50.0))
    assert timing.median == 3
    assert timing.spread == pytest.approx((4 - 2) / 2 / 3)
    assert Timing((2.0,)).spread == 0


def test_the_peak_is_a_product_whose_multiply_adds_are_known() -> None:
    work, multiply_adds = peak_work(torch.device("cpu"))
    product = work()
    assert isinstance(product, torch.Tensor)
    assert multiply_adds == product.shape[0] ** 3
