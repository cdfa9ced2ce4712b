"""A chain: each encoder encodes the features of the one before."""

from __future__ import annotations

import math

import pytest
import torch

from tests.parts import encoder_of, restorer_of
from toolbox.errors import SpecError
from toolbox.resolve import resolve

EDSR, RDN = (
    {"name": "edsr", "channels": 5, "blocks": 1},
    {"name": "rdn", "channels": 4, "blocks": 1, "layers": 2, "growth": 3},
)


def test_it_is_its_encoders_called_in_turn() -> None:
    chain, image = encoder_of({"name": "chain", "encoders": [EDSR, RDN]}), torch.rand(1, 2, 6, 7, dtype=torch.float64)
    first, second = chain.encoders
    torch.testing.assert_close(chain(image), second(first(image)))


def test_it_sees_as_far_as_all_of_them_together() -> None:
    spec = resolve({"channels": 2, "encoder": {"name": "chain", "encoders": [EDSR, RDN]}, "decoder": "residual-conv"})
    parts = [
        resolve({"channels": 2, "encoder": part, "decoder": "residual-conv"}).encoder.config for part in (EDSR, RDN)
    ]
    assert spec.encoder.config.receptive_field() == sum(part.receptive_field() for part in parts)
    assert spec.encoder.config.out_channels(2) == 4


def test_one_that_sees_everything_makes_the_chain_see_everything() -> None:
    whole = {"name": "nonlocal", "nonlocal": {"name": "wang-nonlocal", "neighborhood": {"kind": "whole"}}}
    restorer = restorer_of({"channels": 2, "encoder": {"name": "chain", "encoders": [EDSR, whole]}, "decoder": "conv"})
    assert restorer.receptive_field is None


@pytest.mark.parametrize("factors", [(2, 3), (4, 2)])
def test_its_tiles_start_where_those_of_all_its_encoders_may(factors: tuple[int, int]) -> None:
    encoders = [
        {"name": "pixel-unshuffle", "factor": factor, "encoder": {"name": "edsr", "channels": factor**2, "blocks": 1}}
        for factor in factors
    ]
    config = resolve(
        {"channels": 1, "encoder": {"name": "chain", "encoders": encoders}, "decoder": "conv"}
    ).encoder.config
    assert config.alignment() == math.lcm(*factors)


def test_a_fault_is_told_with_the_number_of_the_encoder() -> None:
    with pytest.raises(SpecError, match=r"encoder\.encoders\.1\.blocks: got 0, expected greater than 0"):
        resolve(
            {"channels": 1, "encoder": {"name": "chain", "encoders": [EDSR, {**EDSR, "blocks": 0}]}, "decoder": "conv"}
        )
    with pytest.raises(SpecError, match=r"encoder\.encoders: "):
        resolve({"channels": 1, "encoder": {"name": "chain", "encoders": []}, "decoder": "conv"})
