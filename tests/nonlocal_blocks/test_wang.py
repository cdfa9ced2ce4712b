"""The non-local block of Wang et al. against its formula over the whole image."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests import plain
from tests.parts import reach
from toolbox.nonlocal_blocks.wang import WangNonLocal, WangNonLocalConfig
from toolbox.resolve import resolve
from toolbox.testing.measure import drawn, farthest

SIMILARITIES = ("embedded-gaussian", "gaussian", "dot-product")
similar = pytest.mark.parametrize("similarity", SIMILARITIES)


def wang(channels: int = 4, **config: Any) -> Any:
    return WangNonLocal(WangNonLocalConfig.model_validate({"inner_channels": 2, **config}), channels)


@similar
@pytest.mark.parametrize("shape", [(1, 1), (5, 6), (2, 9), (40, 30)], ids=str)
def test_it_is_the_formula(similarity: str, shape: tuple[int, int]) -> None:
    module = drawn(wang(similarity=similarity))
    features = torch.randn(2, 4, *shape, dtype=torch.float64)
    x = features.flatten(2)  # (B, C, N): every pixel sees every pixel
    embeds = similarity != "gaussian"
    theta = plain.conv(features, module.theta).flatten(2) if embeds else x
    phi = plain.conv(features, module.phi).flatten(2) if embeds else x
    products = torch.einsum("bci,bcj->bij", theta, phi)
    f = products if similarity == "dot-product" else torch.exp(products)
    normalizer = f.shape[-1] if similarity == "dot-product" else f.sum(-1, keepdim=True)
    y = torch.einsum("bij,bcj->bci", f / normalizer, plain.conv(features, module.g).flatten(2))
    z = plain.conv(y.unflatten(2, shape), module.projection) + features
    torch.testing.assert_close(module(features)[0], z)


@similar
def test_it_starts_as_the_identity_bit_for_bit_and_propagates_nothing(similarity: str) -> None:
    features = 100 * torch.randn(2, 4, 5, 6)
    result, correlation = wang(similarity=similarity)(features, "anything")
    assert torch.equal(result, features)
    assert correlation is None


@similar
def test_training_gets_it_away_from_the_identity(similarity: str) -> None:
    module = wang(similarity=similarity)
    features = torch.randn(2, 4, 5, 6)
    target = torch.randn(2, 4, 5, 6)

    def step() -> dict[str, bool]:
        module.zero_grad()
        (module(features)[0] - target).square().sum().backward()
        return {name: bool(parameter.grad.any()) for name, parameter in module.named_parameters()}

    reached = step()
    assert reached.pop("projection.weight")
    assert reached.pop("projection.bias")
    assert not any(reached.values())  # all else is behind the projection, which is zero
    with torch.no_grad():
        for parameter in module.projection.parameters():
            parameter -= 0.01 * parameter.grad
    reached = step()
    reached.pop("phi.bias", None)  # softmax does not see what is added to all of a query's products
    assert all(reached.values())
    assert not torch.equal(module(features)[0], features)


@similar
def test_a_window_limits_what_it_sees(similarity: str) -> None:
    module = drawn(wang(similarity=similarity, neighborhood={"kind": "window", "size": 5}))
    far = farthest(lambda features: module(features)[0], torch.randn(1, 4, 6, 7, dtype=torch.float64))
    assert far == 2


def test_a_feature_sees_the_whole_image_unless_told_otherwise() -> None:
    module = drawn(wang())
    assert WangNonLocalConfig().receptive_field() is None
    assert module.out_channels == 4
    assert len(reach(lambda features: module(features)[0], torch.randn(1, 4, 4, 5, dtype=torch.float64))) == 20 * 20


def test_the_catalog_puts_it_into_edsr() -> None:
    block = resolve("edsr-baseline-wang-x2").encoder.config.nonlocal_block
    assert block.name == "wang-nonlocal"
    assert block.config.receptive_field() is None
