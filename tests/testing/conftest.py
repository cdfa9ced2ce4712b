"""Broken records may change the process; afterwards it is as before."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import numpy as np
import pytest


@pytest.fixture
def process_restored() -> Iterator[None]:
    """The random states as they were, and without the variable that broken records set."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002  # which a rule seeds
    yield
    random.setstate(state)
    np.random.set_state(numpy_state)  # noqa: NPY002
    os.environ.pop("BROKEN", None)
