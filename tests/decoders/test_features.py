"""The decoder that does nothing."""

from __future__ import annotations

import pytest
import torch

from tests.parts import decoder_of, restorer_of
from toolbox.errors import SpecError
from toolbox.restorer import resolve


def test_the_output_is_the_features() -> None:
    features = torch.randn(2, 3, 4, 5)
    assert torch.equal(decoder_of({"name": "features"}, features=3, channels=3)(features, (4, 5)), features)


def test_a_network_for_features_says_how_many_there_are() -> None:
    spec = {"channels": 1, "output_channels": 4, "encoder": {"name": "edsr", "channels": 4}, "decoder": "features"}
    restorer = restorer_of(spec)
    image = torch.rand(1, 1, 5, 6, dtype=torch.float64)
    assert torch.equal(restorer(image), restorer.encoder(image))


def test_another_number_of_channels_is_refused_with_the_remedy() -> None:
    spec = {"channels": 1, "encoder": {"name": "edsr", "channels": 4}, "decoder": "features"}
    expected = r"^decoder: features got 4 channels, expected 1; set output_channels: 4 \(encoder 'edsr' gives 4 "
    with pytest.raises(SpecError, match=expected):
        resolve(spec)


def test_it_sees_one_pixel_of_the_same_size() -> None:
    config = resolve("nl-means").decoder.config
    assert config.receptive_field() == 0
    assert config.sizes() == "same"
