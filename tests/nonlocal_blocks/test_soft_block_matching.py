"""NLRN's non-local block."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests import plain
from tests.parts import reach
from toolbox.nonlocal_blocks.soft_block_matching import SoftBlockMatching, SoftBlockMatchingConfig
from toolbox.testing.measure import drawn, farthest

NEIGHBORHOODS = [
    {"kind": "window", "size": 5, "border": "clip"},
    {"kind": "window", "size": 5, "border": "zero"},
    {"kind": "window", "size": 5, "border": "shift"},
    {"kind": "top-k", "size": 5, "k": 7},
    {"kind": "whole"},
]


def block(channels: int = 3, **config: Any) -> SoftBlockMatching:
    return SoftBlockMatching(SoftBlockMatchingConfig.model_validate({"embedding_channels": 2, **config}), channels)


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
def test_it_adds_what_is_gathered_to_the_features(neighborhood: dict[str, Any]) -> None:
    module = drawn(block(neighborhood=neighborhood))
    features = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    pair = plain.conv(features, module.theta), plain.conv(features, module.phi)
    gathered = plain.attention(
        [pair],
        plain.conv(features, module.g),
        neighborhood.get("size"),
        neighborhood.get("border", "clip"),
        best=neighborhood.get("k"),
    )
    torch.testing.assert_close(module(features)[0], features + gathered)


def test_gaussian_similarity_compares_the_features_themselves() -> None:
    module = drawn(block(similarity="gaussian", neighborhood={"kind": "window", "size": 5}))
    features = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    gathered = plain.attention([(features, features)], plain.conv(features, module.g), 5)
    torch.testing.assert_close(module(features)[0], features + gathered)
    assert sum(parameter.numel() for parameter in module.parameters()) == 3 * 3 + 3


def test_dot_product_similarity_divides_by_the_number_of_neighbors() -> None:
    module = drawn(block(similarity="dot-product", neighborhood={"kind": "window", "size": 5}))
    features = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    pair = plain.conv(features, module.theta), plain.conv(features, module.phi)
    gathered = plain.attention([pair], plain.conv(features, module.g), 5, softmax=False)
    torch.testing.assert_close(module(features)[0], features + gathered)


def test_it_starts_as_the_identity() -> None:
    features = torch.randn(1, 3, 5, 5)
    assert torch.equal(block()(features)[0], features)


def test_correlation_is_passed_on_when_it_accumulates_and_only_then() -> None:
    features = torch.randn(1, 3, 4, 4)
    assert block(propagation="accumulate")(features)[1] is not None
    assert block(propagation="none")(features)[1] is None


def test_accumulated_correlation_decides_the_weights() -> None:
    module = drawn(block(propagation="accumulate"))
    first, second = torch.randn(2, 1, 3, 4, 5, dtype=torch.float64)
    _, correlation = module(first)
    result, _ = module(second, correlation)
    pairs = [(plain.conv(x, module.theta), plain.conv(x, module.phi)) for x in (first, second)]
    torch.testing.assert_close(result, second + plain.attention(pairs, plain.conv(second, module.g), 45))
    assert not torch.allclose(result, module(second)[0])


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
def test_a_feature_sees_as_far_as_declared(neighborhood: dict[str, Any]) -> None:
    module = drawn(block(neighborhood=neighborhood))
    declared = SoftBlockMatchingConfig.model_validate({"neighborhood": neighborhood}).receptive_field()
    features = torch.randn(1, 3, 8, 9, dtype=torch.float64)
    if declared is None:
        assert len(reach(lambda features: module(features)[0], features)) == 72 * 72
    else:
        assert farthest(lambda features: module(features)[0], features) == declared


def test_the_number_of_channels_stays() -> None:
    module = block(channels=5)
    assert module.out_channels == 5
    assert module(torch.randn(1, 5, 3, 4))[0].shape == (1, 5, 3, 4)
