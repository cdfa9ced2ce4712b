"""A skip around an encoder."""

from __future__ import annotations

import pytest
import torch

from tests.parts import encoder_of
from toolbox.errors import SpecError
from toolbox.resolve import resolve

INNER = {"name": "edsr", "channels": 2, "blocks": 1}


def test_the_input_is_added_to_what_the_encoder_gives() -> None:
    residual = encoder_of({"name": "residual", "encoder": INNER, "scale": 0.5})
    image = torch.rand(1, 2, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(residual(image), image + 0.5 * residual.encoder(image))


def test_an_encoder_that_changes_the_channels_is_refused() -> None:
    with pytest.raises(SpecError, match="residual got 2 channels of 'edsr' for 3, expected as many"):
        resolve({"channels": 3, "encoder": {"name": "residual", "encoder": INNER}, "decoder": "conv"})
