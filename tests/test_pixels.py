"""Pixels in 8 bits: arrays and tensors round alike."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import given

from toolbox.pixels import Array, eight_bits, rounded_to_bytes, to_bytes

PICTURES = arrays.arrays(np.float32, arrays.array_shapes(max_dims=3), elements=st.floats(-0.5, 1.5, width=32))


@given(PICTURES)
def test_an_array_and_a_tensor_become_the_same_bytes(pixels: Array) -> None:
    expected = eight_bits(pixels)
    assert expected.dtype == np.uint8
    assert np.array_equal(to_bytes(torch.from_numpy(pixels)).numpy(), expected)
    assert np.array_equal(np.asarray(expected == 0), np.asarray(pixels.clip(0, 1) * 255 <= 0.5))


@given(PICTURES)
def test_rounding_without_a_change_of_type_gives_the_same_values(pixels: Array) -> None:
    for picture in (torch.from_numpy(pixels), torch.from_numpy(pixels).double()):
        rounded = rounded_to_bytes(picture)
        assert rounded.dtype == picture.dtype
        assert torch.equal(rounded, to_bytes(picture).to(picture.dtype) / 255)
        assert torch.equal(rounded_to_bytes(rounded), rounded)


def test_sixteen_bits_become_the_nearest_eight() -> None:
    deep = np.arange(2**16, dtype=np.uint16)
    assert np.array_equal(eight_bits(deep), np.round(deep.astype(np.float64) / 257).astype(np.uint8))
    assert eight_bits(eight_bits(deep)).dtype == np.uint8


def test_what_is_not_a_number_stays_none() -> None:
    assert rounded_to_bytes(torch.tensor([torch.nan])).isnan().all()
