"""A mixture of decoded states, against each state decoded on its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.parts import decoder_of, restorer_of
from toolbox.errors import SpecError
from toolbox.resolve import resolve

CONV = {"name": "convolutions", "channels": [4]}


def network(decoder: Any, collect: str = "concat", states: int = 3) -> dict[str, Any]:
    return {
        "channels": 2,
        "global_skip": "bicubic",
        "encoder": {
            "name": "recurrent",
            "steps": 3,
            "collect": collect,
            "transition": {"name": "encoder", "channels": 4, "encoder": CONV},
        },
        "decoder": {"name": "mixed-states", "states": states, "decoder": decoder},
    }


def test_it_is_the_weighted_mean_of_the_decoded_states() -> None:
    decoder = decoder_of({"name": "mixed-states", "states": 3, "decoder": "conv"}, features=12, channels=3)
    features = torch.randn(2, 12, 6, 5, dtype=torch.float64)
    weights = decoder.mixture.exp() / decoder.mixture.exp().sum()
    expected = sum(
        weight * decoder.decoder(state, (6, 5)) for weight, state in zip(weights, features.split(4, 1), strict=True)
    )
    torch.testing.assert_close(decoder(features, (6, 5)), expected)


@pytest.mark.parametrize("decoder", ["conv", {"name": "local-ensemble", "hidden": [5]}])
def test_in_training_it_gives_each_state_and_then_the_mean(decoder: Any) -> None:
    restorer = restorer_of(network(decoder))
    image = torch.rand(2, 2, 6, 5, dtype=torch.float64)
    mixed = restorer(image)
    restorer.decoder.train()
    every = restorer(image)
    assert every.shape == (8, 2, 6, 5)
    torch.testing.assert_close(every[-2:], mixed)
    alone = restorer.decoder.decoder(restorer.encode(image)[:, 4:8], (6, 5)) + image
    torch.testing.assert_close(every[2:4], alone)


def test_untrained_all_states_weigh_the_same() -> None:
    with torch.device("meta"):
        spec = resolve(network("conv"))
    decoder = spec.decoder.build(features=12, channels=2)
    assert decoder.mixture.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            network("conv", collect="last"),
            r"^decoder: mixed-states got 4 channels, expected a multiple of 3, the number of states; let the ",
        ),
        (network({"name": "pixel-shuffle", "scale": 5}), r"^decoder\.decoder\.scale: got 5, expected 2, 3, 4 or 8"),
        (network("conv", states=0), r"^decoder\.states: got 0, expected greater than 0"),
    ],
)
def test_what_does_not_join_is_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve(spec)
