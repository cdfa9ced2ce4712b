"""The state of the process that belongs to nobody, so that a plugin must leave it alone."""

from __future__ import annotations

import os
import random
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch


def process_state() -> Mapping[str, Any]:
    """Everything global that can be compared, by its name in messages; torch's random state is not in it."""
    generator = np.random.get_state(legacy=False)["state"]  # noqa: NPY002  # the global one is what is asked for
    return {
        "Python's random state": random.getstate(),
        "NumPy's random state": (generator["pos"], generator["key"].tolist()),
        "the default dtype": torch.get_default_dtype(),
        "the default device": torch.get_default_device(),
        "the number of threads": torch.get_num_threads(),
        "grad mode": torch.is_grad_enabled(),
        "deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "cuDNN's switches": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "the precision of matrix products": torch.get_float32_matmul_precision(),
        "the environment": dict(os.environ),
        "the path": list(sys.path),
        "the working folder": Path.cwd(),
        "the warnings filters": list(warnings.filters),
    }
