"""EDSR's body against its formula."""

from __future__ import annotations

import pytest
import torch

from tests import plain
from tests.parts import distances, encoder_of, reach
from toolbox.encoders.edsr import EDSRConfig
from toolbox.restorer import resolve


@pytest.mark.parametrize("residual_scale", [1.0, 0.1])
def test_it_equals_the_plain_one(residual_scale: float) -> None:
    encoder = encoder_of({"name": "edsr", "channels": 4, "blocks": 3, "residual_scale": residual_scale})
    image = torch.randn(2, 2, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(encoder(image), plain.edsr(encoder, image, residual_scale))


@pytest.mark.parametrize(("preset", "channels", "blocks", "scale"), [("baseline", 64, 16, 1.0), ("full", 256, 32, 0.1)])
def test_presets_are_the_published_settings(preset: str, channels: int, blocks: int, scale: float) -> None:
    expected = EDSRConfig(channels=channels, blocks=blocks, residual_scale=scale)
    spec = resolve({"channels": 3, "encoder": {"name": "edsr", "preset": preset}, "decoder": "residual-conv"})
    assert spec.encoder.config == expected


def test_a_feature_sees_as_far_as_declared() -> None:
    encoder = encoder_of({"name": "edsr", "channels": 4, "blocks": 2})
    pairs = reach(encoder, torch.randn(1, 2, 8, 9, dtype=torch.float64))
    assert max(distances(pairs)) == encoder.receptive_field == 6
