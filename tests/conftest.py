"""What every test gets: seeded random numbers, deterministic properties, nothing left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

_home = tempfile.TemporaryDirectory(prefix="toolbox-hypothesis-")  # hypothesis caches even without a database
set_hypothesis_home_dir(_home.name)
settings.register_profile("toolbox", derandomize=True, database=None, deadline=None, max_examples=25)
settings.load_profile("toolbox")


def pytest_unconfigure() -> None:
    _home.cleanup()


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    """Each test starts from the same random state, whatever ran before it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
