"""Non-local means against the definition."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests import plain
from tests.parts import distances, reach, restorer_of
from toolbox.errors import SpecError
from toolbox.nonlocal_blocks.nl_means import NLMeans, NLMeansConfig
from toolbox.restorer import resolve


def nl_means(channels: int = 2, **config: Any) -> NLMeans:
    return NLMeans(NLMeansConfig.model_validate(config), channels).double()


@given(
    height=st.integers(1, 8),
    width=st.integers(1, 8),
    size=st.sampled_from((1, 3, 5)),
    border=st.sampled_from(("clip", "shift")),
    patch=st.sampled_from((1, 3, 5)),
    strength=st.floats(0.05, 2),
)
def test_it_equals_the_plain_one(height: int, width: int, size: int, border: str, patch: int, strength: float) -> None:
    image = torch.rand(2, 2, height, width, dtype=torch.float64)
    neighborhood = {"kind": "window", "size": size, "border": border}
    module = nl_means(neighborhood=neighborhood, patch=patch, strength=strength)
    torch.testing.assert_close(module(image)[0], plain.nl_means(image, size, border, patch, strength))


def test_over_the_whole_image_it_equals_the_plain_one() -> None:
    image = torch.rand(1, 2, 5, 6, dtype=torch.float64)
    module = nl_means(neighborhood={"kind": "whole"}, patch=3, strength=0.3)
    torch.testing.assert_close(module(image)[0], plain.nl_means(image, None, "clip", 3, 0.3))


def test_brightness_only_moves_the_result() -> None:
    image = torch.rand(1, 2, 6, 7, dtype=torch.float64)
    module = nl_means()
    torch.testing.assert_close(module(image + 5)[0], module(image)[0] + 5)


def test_it_has_nothing_to_train_and_propagates_nothing() -> None:
    module = nl_means()
    assert not list(module.parameters())
    assert module(torch.rand(1, 2, 3, 4, dtype=torch.float64), "anything")[1] is None


@pytest.mark.parametrize(("border", "radius"), [("clip", 2), ("shift", 4)])
def test_a_pixel_sees_as_far_as_declared(border: str, radius: int) -> None:
    module = nl_means(neighborhood={"kind": "window", "size": 5, "border": border}, patch=3, strength=0.5)
    assert module.receptive_field == radius + 1
    pairs = reach(lambda image: module(image)[0], torch.rand(1, 2, 8, 9, dtype=torch.float64))
    assert max(distances(pairs)) == radius + 1


def test_it_removes_noise_with_no_training_at_all() -> None:
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    clean = (0.3 + 0.4 * ((y // 8 + x // 8) % 2)).double()[None, None]
    noisy = clean + 25 / 255 * torch.randn(clean.shape, dtype=torch.float64)
    restored = restorer_of("nl-means")(noisy)
    assert (restored - clean).square().mean() < 0.4 * (noisy - clean).square().mean()


@pytest.mark.parametrize(("setting", "value"), [("patch", 0), ("strength", 0), ("strength", -1)])
def test_settings_that_cannot_be_are_refused(setting: str, value: float) -> None:
    block = {"name": "nl-means", setting: value}
    spec = {"channels": 1, "encoder": {"name": "nonlocal", "nonlocal": block}, "decoder": "features"}
    with pytest.raises(SpecError, match=rf"^encoder\.nonlocal\.{setting}: got {value}, expected greater than 0$"):
        resolve(spec)
