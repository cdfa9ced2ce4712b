"""The next items are prepared while one is used."""

from __future__ import annotations

import threading

import hypothesis.strategies as st
from hypothesis import given

from toolbox.evaluation.prefetch import prefetched


@given(items=st.lists(st.integers()), workers=st.integers(1, 4))
def test_the_results_are_those_of_map(items: list[int], workers: int) -> None:
    assert list(prefetched(lambda n: n * n, items, workers)) == [n * n for n in items]


def test_the_next_item_is_made_while_one_is_used_and_no_more_than_there_are_workers() -> None:
    made, second = [], threading.Event()

    def make(n: int) -> int:
        made.append(n)
        if n == 1:
            second.set()
        return n

    results = prefetched(make, range(10), 1)
    assert next(results) == 0
    assert second.wait(5)
    assert made == [0, 1]
    assert list(results) == list(range(1, 10))
