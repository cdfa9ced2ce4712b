"""The encoder that is one non-local block."""

from __future__ import annotations

import torch

from tests import plain
from tests.parts import encoder_of


def test_it_applies_its_block_once() -> None:
    block = {"name": "nl-means", "neighborhood": {"kind": "window", "size": 3}, "patch": 3, "strength": 0.4}
    encoder = encoder_of({"name": "nonlocal", "nonlocal": block})
    image = torch.rand(2, 2, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(encoder(image), plain.nl_means(image, 3, "clip", 3, 0.4))


def test_it_keeps_the_channels_and_sees_what_its_block_sees() -> None:
    encoder = encoder_of({"name": "nonlocal", "nonlocal": {"name": "nl-means", "patch": 7}}, channels=3)
    assert encoder.out_channels == 3
    assert encoder.receptive_field == 10 + 3
    assert encoder_of({"name": "nonlocal", "nonlocal": "wang-nonlocal"}).receptive_field is None
