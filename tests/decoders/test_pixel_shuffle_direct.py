"""One convolution and a shuffle against the definition."""

from __future__ import annotations

import pytest
import torch

from tests import plain
from tests.decoders.test_pixel_shuffle import shuffled
from tests.parts import decoder_of
from toolbox.errors import SpecError
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_it_is_a_convolution_and_one_shuffle(scale: int) -> None:
    decoder = decoder_of({"name": "pixel-shuffle-direct", "scale": scale}, features=4)
    features = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    expected = shuffled(plain.conv(features, decoder.conv), scale)
    torch.testing.assert_close(decoder(features, (3 * scale, 5 * scale)), expected)
    assert farthest(lambda x: decoder(x, (3 * scale, 5 * scale)), features[:1]) == 1


def test_other_scales_are_refused_in_the_spec() -> None:
    spec = {"channels": 2, "encoder": "identity", "decoder": {"name": "pixel-shuffle-direct", "scale": 5}}
    with pytest.raises(SpecError, match=r"^decoder\.scale: got 5, expected 2, 3, 4 or 8$"):
        resolve(spec)
