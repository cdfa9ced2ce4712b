"""A drawn chain: chains are drawn by their weights, and their settings are checked as the recipe's own."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from toolbox.choice import Choice
from toolbox.config import validated
from toolbox.degradations.one_of import OneOfConfig, one_of
from toolbox.discovery import installed
from toolbox.errors import SpecError

NOISE = {"name": "gaussian-noise", "sigma": 10}
BITS = {"name": "eight-bits"}


def config_of(*chains: dict[str, Any]) -> OneOfConfig:
    return validated(OneOfConfig, {"chains": chains}, installed(), "")


def degrade(config: OneOfConfig, picture: Tensor, seed: int) -> Tensor:
    return one_of(config, picture, 1.0, torch.Generator().manual_seed(seed)).picture


def test_chains_are_drawn_by_their_weights() -> None:
    config = config_of({"weight": 3, "do": []}, {"weight": 1, "do": [NOISE]})
    picture = torch.full((1, 4, 4), 0.5)
    untouched = [torch.equal(degrade(config, picture, seed), picture) for seed in range(1000)]
    assert sum(untouched) == pytest.approx(750, abs=4 * (1000 * 0.75 * 0.25) ** 0.5)


def test_a_chain_is_done_in_its_order() -> None:
    picture = torch.full((1, 8, 8), 0.99)
    rounded = degrade(config_of({"do": [NOISE, BITS]}), picture, 0)
    noisy = degrade(config_of({"do": [BITS, NOISE]}), picture, 0)
    torch.testing.assert_close(rounded * 255, (rounded * 255).round())
    assert rounded.max() == 1
    assert noisy.max() > 1


def test_a_chain_of_one_needs_no_list_and_chains_may_be_nested() -> None:
    config = config_of({"do": {"name": "one-of", "chains": [{"do": "eight-bits"}]}})
    picture = torch.rand(1, 4, 4)
    torch.testing.assert_close(degrade(config, picture, 0), (picture * 255).round() / 255)


def test_it_tells_what_the_drawn_chain_tells() -> None:
    config = config_of({"do": [NOISE, BITS]}, {"do": [{"name": "jpeg", "quality": 30}]}, {"do": []})
    picture = torch.rand(3, 8, 8)
    told = [one_of(config, picture, 1.0, torch.Generator().manual_seed(seed)).conditions for seed in range(30)]
    assert {tuple(each.items()) for each in told} == {(("sigma", 10.0),), (("quality", 30),), ()}


def test_all_that_is_drawn_comes_from_the_generator() -> None:
    config = config_of({"do": [NOISE]}, {"do": [{"name": "correlated-noise", "sigma": [0, 30]}]}, {"do": []})
    picture = torch.rand(3, 16, 16)
    for seed in range(10):
        assert torch.equal(degrade(config, picture, seed), degrade(config, picture, seed))


def test_a_recipe_writes_it_down_complete_and_reads_that_again() -> None:
    found = installed().degradations["one-of"]
    config = config_of({"weight": 2, "do": [NOISE, "camera-noise"]}, {"do": []})
    data = json.loads(json.dumps(Choice(found, config).to_data()))
    assert [each["name"] for each in data["chains"][0]["do"]] == ["gaussian-noise", "camera-noise"]
    assert data["chains"][1] == {"weight": 1.0, "do": []}
    assert config_of(*data["chains"]) == config


@pytest.mark.parametrize(
    ("chains", "message"),
    [
        ([], r"chains: got \[\], expected .*at least 1"),
        ([{"do": [{"name": "gaussian-noise"}]}], r"chains\.0\.do\.0\.sigma: missing; this key is required"),
        ([{"do": [{"name": "gausian-noise"}]}], r"chains\.0\.do\.0\.name: unknown degradation .* did you mean 'gauss"),
        ([{"do": [], "weight": 0}], r"chains\.0\.weight: got 0, expected greater than 0"),
        ([{"weight": 1}], r"chains\.0\.do: missing"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(chains: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        validated(OneOfConfig, {"chains": chains}, installed(), "")
