"""How two features correlate, and how correlations become weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests import plain, plain_decoders
from toolbox.errors import SpecError
from toolbox.nonlocal_blocks import attention
from toolbox.nonlocal_blocks.soft_block_matching import SoftBlockMatching, SoftBlockMatchingConfig
from toolbox.resolve import resolve
from toolbox.testing.measure import drawn

SIMILARITIES = ("embedded-gaussian", "gaussian", "dot-product")
BORDERS = ("clip", "zero", "shift")
NEIGHBORHOODS: list[dict[str, Any]] = [
    *({"kind": "window", "size": 3, "border": border} for border in BORDERS),
    *({"kind": "top-k", "size": 3, "k": 4, "border": border} for border in BORDERS),
    {"kind": "whole"},
]
similar = pytest.mark.parametrize("similarity", SIMILARITIES)


def block(similarity: str, neighborhood: dict[str, Any], channels: int = 3) -> Any:
    config = {"similarity": similarity, "neighborhood": neighborhood, "embedding_channels": 2}
    return drawn(SoftBlockMatching(SoftBlockMatchingConfig.model_validate(config), channels))


def expected(module: Any, features: Tensor, similarity: str, neighborhood: dict[str, Any]) -> Tensor:
    """x + Σ f(x_i, x_j) g(x_j) / C(x), one pixel after the other."""
    embeds = similarity != "gaussian"
    return features + plain_decoders.gathered(
        plain.conv(features, module.theta) if embeds else features,
        plain.conv(features, module.phi) if embeds else features,
        plain.conv(features, module.g),
        size=neighborhood.get("size"),
        border=neighborhood.get("border", "clip"),
        similarity=similarity,
        best=neighborhood.get("k"),
    )


@similar
@pytest.mark.parametrize("tile", [2, 16])
@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=lambda given: "-".join(map(str, given.values())))
def test_it_is_the_formula(
    similarity: str, neighborhood: dict[str, Any], tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "TILE", tile)
    monkeypatch.setattr(attention, "WHOLE_IMAGE_QUERIES", 5 * tile)
    features = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    module = block(similarity, neighborhood)
    torch.testing.assert_close(module(features)[0], expected(module, features, similarity, neighborhood))


@pytest.mark.parametrize(("border", "corner", "edge"), [("clip", 4, 6), ("shift", 9, 9), ("zero", 9, 9)])
def test_a_dot_product_is_divided_by_the_number_of_neighbors(border: str, corner: int, edge: int) -> None:
    """With ones everywhere a pixel gathers (neighbors inside) / (neighbors), in units of one neighbor's share."""
    module = block("dot-product", {"kind": "window", "size": 3, "border": border}, channels=1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0 if parameter.ndim > 1 else 0.0)
    gathered = module(torch.ones(1, 1, 5, 6, dtype=torch.float64))[0][0, 0] - 1
    inside = {"clip": (4, 6), "shift": (9, 9), "zero": (4, 6)}[border]
    products = 2.0  # of two embedding channels
    assert gathered[2, 3].item() == pytest.approx(products)
    assert gathered[0, 0].item() == pytest.approx(products * inside[0] / corner)
    assert gathered[0, 3].item() == pytest.approx(products * inside[1] / edge)


def test_a_dot_product_keeps_its_sign_and_its_size() -> None:
    module = block("dot-product", {"kind": "whole"})
    with torch.no_grad():
        module.theta.bias.zero_()
        module.phi.bias.zero_()
        module.g.bias.zero_()
    features = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    gathered = module(features)[0] - features
    torch.testing.assert_close(module(2 * features)[0] - 2 * features, 8 * gathered)
    torch.testing.assert_close(module(-features)[0] + features, -gathered)


def test_a_gaussian_has_nothing_to_embed() -> None:
    def names(similarity: str) -> set[str]:
        return {name for name, _ in block(similarity, {"kind": "whole"}).named_parameters()}

    assert names("gaussian") == {"g.weight", "g.bias"}
    embedded = {"theta.weight", "theta.bias", "phi.weight", "phi.bias", "g.weight", "g.bias"}
    assert names("embedded-gaussian") == names("dot-product") == embedded


@similar
def test_correlations_accumulate_whatever_the_similarity(similarity: str) -> None:
    module = block(similarity, {"kind": "window", "size": 3})
    first, second = torch.randn(2, 1, 3, 4, 5, dtype=torch.float64)
    _, correlation = module(first)
    result, _ = module(second, correlation)
    embeds = similarity != "gaussian"
    queries, keys = (
        torch.cat([plain.conv(x, conv) if embeds else x for x in (first, second)], 1)
        for conv in (module.theta, module.phi)
    )
    values = plain.conv(second, module.g)
    gathered = plain_decoders.gathered(queries, keys, values, size=3, similarity=similarity)
    torch.testing.assert_close(result, second + gathered)


@similar
def test_gradients_are_those_of_the_numbers(similarity: str) -> None:
    module = block(similarity, {"kind": "window", "size": 3}, channels=2)
    features = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: module(x)[0], (features,))


@pytest.mark.parametrize("name", ["soft-block-matching", "wang-nonlocal"])
def test_an_unknown_similarity_is_refused_with_the_known_ones(name: str) -> None:
    encoder = {"name": "nonlocal", "nonlocal": {"name": name, "similarity": "cosine"}}
    known = "'embedded-gaussian', 'gaussian' or 'dot-product'"
    with pytest.raises(SpecError, match=rf"^encoder\.nonlocal\.similarity: got 'cosine', expected {known}$"):
        resolve({"channels": 3, "encoder": encoder, "decoder": "residual-conv"})
