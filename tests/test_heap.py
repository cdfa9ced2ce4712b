"""Free memory goes back to the system, where the allocator can do that."""

from __future__ import annotations

import psutil
import pytest

from toolbox.heap import trim_heap


def test_it_says_whether_the_allocator_can(monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed: list[bool] = []
    monkeypatch.setattr(psutil, "heap_trim", lambda: trimmed.append(True), raising=False)
    assert trim_heap()
    assert trimmed == [True]
    monkeypatch.delattr(psutil, "heap_trim")
    assert not trim_heap()
    assert trimmed == [True]
