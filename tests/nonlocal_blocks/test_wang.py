"""The non-local block of Wang et al. against its formula."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests import plain
from tests.parts import distances, drawn, reach
from toolbox.nonlocal_blocks.wang import WangNonLocal, WangNonLocalConfig


def wang(channels: int = 3, **config: Any) -> WangNonLocal:
    return WangNonLocal(WangNonLocalConfig.model_validate({"inner_channels": 2, **config}), channels)


@pytest.mark.parametrize("similarity", ["embedded-gaussian", "gaussian", "dot-product"])
@pytest.mark.parametrize("neighborhood", [{"kind": "whole"}, {"kind": "window", "size": 3}], ids=["whole", "window"])
def test_it_adds_a_projection_of_what_is_gathered(similarity: str, neighborhood: dict[str, Any]) -> None:
    module = drawn(wang(similarity=similarity, neighborhood=neighborhood))
    features = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    if similarity == "gaussian":
        pair = features, features
    else:
        pair = plain.conv(features, module.theta), plain.conv(features, module.phi)
    gathered = plain.attention(
        [pair], plain.conv(features, module.g), neighborhood.get("size"), softmax=similarity != "dot-product"
    )
    torch.testing.assert_close(module(features)[0], features + plain.conv(gathered, module.projection))


def test_it_starts_as_the_identity_and_propagates_nothing() -> None:
    features = torch.randn(1, 3, 5, 5)
    result, correlation = wang()(features, "anything")
    assert torch.equal(result, features)
    assert correlation is None


def test_a_feature_sees_the_whole_image_unless_told_otherwise() -> None:
    module = drawn(wang())
    assert module.receptive_field is None
    assert len(reach(lambda features: module(features)[0], torch.randn(1, 3, 4, 5, dtype=torch.float64))) == 20 * 20
    module = drawn(wang(neighborhood={"kind": "window", "size": 5}))
    pairs = reach(lambda features: module(features)[0], torch.randn(1, 3, 6, 7, dtype=torch.float64))
    assert max(distances(pairs)) == module.receptive_field == 2
