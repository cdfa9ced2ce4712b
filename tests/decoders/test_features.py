"""The decoder that does nothing, and outputs of other channels than the image's."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.parts import decoder_of, restorer_of
from toolbox.errors import SpecError
from toolbox.resolve import resolve

EDSR = {"name": "edsr", "channels": 5, "blocks": 1}


def test_the_output_is_the_features() -> None:
    features = torch.randn(2, 3, 4, 5)
    assert torch.equal(decoder_of({"name": "features"}, features=3, channels=3)(features, (4, 5)), features)


def test_it_has_no_parameter_and_sees_one_pixel_of_the_same_size() -> None:
    assert not list(decoder_of({"name": "features"}, features=3, channels=3).parameters())
    config = resolve("nl-means").decoder.config
    assert (config.receptive_field(), config.sizes()) == (0, "same")


def test_a_network_for_features_gives_what_its_encoder_gives() -> None:
    restorer = restorer_of({"channels": 3, "output_channels": 5, "encoder": EDSR, "decoder": "features"})
    image = torch.rand(2, 3, 4, 6, dtype=torch.float64)
    result = restorer(image)
    assert result.shape == (2, 5, 4, 6)
    torch.testing.assert_close(result, restorer.encoder(image))


def test_a_network_for_features_has_the_size_of_the_image() -> None:
    restorer = restorer_of({"channels": 3, "output_channels": 5, "encoder": EDSR, "decoder": "features"})
    with pytest.raises(SpecError, match=r"^got output size 8x12 for input 4x6, but decoder 'features' expected the "):
        restorer(torch.rand(1, 3, 4, 6, dtype=torch.float64), scale=2)


@pytest.mark.parametrize("decoder", ["residual-conv", "dual-interactive", "local-ensemble", "meta-upscale"])
def test_decoders_give_the_channels_that_the_spec_asks_for(decoder: str) -> None:
    spec = {"channels": 3, "output_channels": 1, "encoder": EDSR, "decoder": decoder}
    assert restorer_of(spec)(torch.rand(2, 3, 4, 6, dtype=torch.float64)).shape == (2, 1, 4, 6)


def test_one_normalization_for_all_channels_fits_any_output() -> None:
    spec = {"channels": 3, "output_channels": 5, "encoder": EDSR, "decoder": "features"}
    plain, normalized = restorer_of(spec), restorer_of({**spec, "normalization": {"mean": 0.5, "std": 0.25}})
    normalized.load_state_dict(plain.state_dict())
    image = torch.rand(1, 3, 4, 6, dtype=torch.float64)
    expected = plain.encoder((image - 0.5) / 0.25) * 0.25 + 0.5
    torch.testing.assert_close(normalized(image), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, r"^decoder: features got 5 channels, expected 3; set output_channels: 5 \(encoder 'edsr' gives 5 "),
        ({"output_channels": 4}, r"^decoder: features got 5 channels, expected 4; set output_channels: 5 "),
        ({"output_channels": 0}, r"^output_channels: got 0, expected greater than 0$"),
        (
            {"output_channels": 5, "global_skip": "bicubic"},
            r"^output_channels: got 5, expected 3, since a global skip ",
        ),
        ({"output_channels": 5, "normalization": {"mean": [0.1, 0.2, 0.3]}}, r"^output_channels: got 5, expected 3, "),
        ({"output_channels": 5, "normalization": {"std": [0.1, 0.2, 0.3]}}, r"^output_channels: got 5, expected 3, "),
    ],
)
def test_channels_that_do_not_join_are_refused_in_the_spec(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 3, "encoder": EDSR, "decoder": "features", **changes})
