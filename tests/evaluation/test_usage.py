"""Time and memory of a block."""

from __future__ import annotations

import time

import pytest
import torch

from toolbox.evaluation import usage
from toolbox.evaluation.usage import PROCESS, measured

CPU = torch.device("cpu")


def test_the_seconds_are_those_of_the_block() -> None:
    with measured(CPU) as found:
        time.sleep(0.02)
    assert found.seconds >= 0.02


@pytest.mark.skipif(not (PROCESS / "clear_refs").exists(), reason="this system does not tell the peak of a process")
def test_memory_is_what_the_block_took_beyond_what_was_held() -> None:
    held = torch.ones(2**26)  # 256 MB
    for _ in range(2):
        with measured(CPU) as found:
            torch.ones(2**24).sum()  # 64 MB, given back at the end
        assert found.peak_memory is not None
        assert 60e6 < found.peak_memory < 120e6
    assert held.sum() == 2**26


def test_where_nobody_tells_there_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "PROCESS", PROCESS / "nowhere")
    with measured(CPU) as found:
        pass
    assert found.peak_memory is None
