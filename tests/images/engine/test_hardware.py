"""Device, type of numbers and threads: used where they are there, refused where not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import toolbox
from tests.images.samples import noise
from tests.images.test_restore import model
from toolbox.errors import SpecError
from toolbox.images.engine.hardware import DTYPES, placed, threads


@pytest.mark.parametrize("name", DTYPES)
def test_a_network_computes_in_the_type_that_is_asked_for(name: str) -> None:
    image = noise(9, 8, 3, dtype=np.uint16)
    expected = toolbox.restore(image, model(3), scale=2).astype(int)
    torch.manual_seed(0)
    try:
        network = placed(model(3), "cpu", name)
    except SpecError as error:
        pytest.skip(str(error))
    assert network.mean.dtype == DTYPES[name]
    assert toolbox.restore(image, network, scale=2).shape == expected.shape


def test_without_a_choice_it_stays_as_it_is() -> None:
    network = model(1).double()
    assert placed(network, None, None).mean.dtype == torch.float64


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(SpecError, match=r"^got dtype 'float8', expected one of float32, float64, bfloat16, float16$"):
        placed(model(1), None, "float8")
    with pytest.raises(SpecError, match=r"^got device toaster, which this machine does not do \(.*\); it has cpu"):
        placed(model(1), "toaster", None)
    if not torch.cuda.is_available():
        with pytest.raises(SpecError, match=r"^got device cuda with dtype float16, which this machine does not do"):
            placed(model(1), "cuda", "float16")


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with threads(3):
        assert torch.get_num_threads() == 3
    with threads(None):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before
