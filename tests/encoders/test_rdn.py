"""RDN against its formula."""

from __future__ import annotations

import pytest
import torch

from tests import plain
from tests.parts import encoder_of, encoder_radius
from toolbox.encoders.rdn import RDNConfig
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest

SMALL = {"name": "rdn", "channels": 4, "blocks": 2, "layers": 3, "growth": 3}


def test_it_equals_the_plain_one() -> None:
    encoder = encoder_of(SMALL)
    image = torch.randn(2, 2, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(encoder(image), plain.rdn(encoder, image))


@pytest.mark.parametrize(("preset", "blocks", "layers", "growth"), [("A", 20, 6, 32), ("B", 16, 8, 64)])
def test_presets_are_the_published_settings(preset: str, blocks: int, layers: int, growth: int) -> None:
    expected = RDNConfig(channels=64, blocks=blocks, layers=layers, growth=growth)
    spec = resolve({"channels": 3, "encoder": {"name": "rdn", "preset": preset}, "decoder": "residual-conv"})
    assert spec.encoder.config == expected


def test_preset_b_is_the_default() -> None:
    assert RDNConfig() == RDNConfig.model_validate({"preset": "B"})


def test_a_feature_sees_as_far_as_declared() -> None:
    encoder = encoder_of(SMALL)
    far = farthest(encoder, torch.randn(1, 2, 11, 12, dtype=torch.float64))
    assert far == encoder_radius(SMALL) == 9
