"""Non-local means against its definition, and what it does to noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import toolbox
from tests import plain
from toolbox.errors import SpecError
from toolbox.nonlocal_blocks.nl_means import NLMeans, NLMeansConfig
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest

Array = npt.NDArray[np.float64]


def nl_means(channels: int = 1, **config: Any) -> NLMeans:
    return NLMeans(NLMeansConfig.model_validate(config), channels)


def naive(image: Array, size: int | None, border: str, patch: int, strength: float) -> Array:
    """Σ w x / Σ w, w = exp(−mean squared distance of the patches / h²); (C, H, W), reflected at the border."""
    _, height, width = image.shape
    radius = patch // 2
    padded = np.pad(image, ((0, 0), (radius, radius), (radius, radius)), mode="reflect")
    result = np.empty_like(image)
    for y in range(height):
        for x in range(width):
            own = padded[:, y : y + patch, x : x + patch]
            total, weighted = 0.0, np.zeros(len(image))
            for row in plain.window(y, height, size, border):
                for column in plain.window(x, width, size, border):
                    other = padded[:, row : row + patch, column : column + patch]
                    weight = math.exp(-float(np.mean((own - other) ** 2)) / strength**2)
                    total, weighted = total + weight, weighted + weight * image[:, row, column]
            result[:, y, x] = weighted / total
    return result


@pytest.mark.parametrize("exactness", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("border", ["clip", "shift"])
@pytest.mark.parametrize(("size", "patch", "strength"), [(5, 3, 0.1), (7, 5, 0.3), (3, 1, 0.05)])
def test_it_is_the_definition(size: int, patch: int, strength: float, border: str, exactness: torch.dtype) -> None:
    image = torch.rand(2, 3, 9, 10, dtype=exactness)
    neighborhood = {"kind": "window", "size": size, "border": border}
    result, correlation = nl_means(3, neighborhood=neighborhood, patch=patch, strength=strength)(image)
    assert correlation is None
    assert result.dtype == exactness
    for one, restored in zip(image.double().numpy(), result.double().numpy(), strict=True):
        np.testing.assert_allclose(restored, naive(one, size, border, patch, strength), atol=1e-5)


@given(
    height=st.integers(3, 8),
    width=st.integers(3, 8),
    channels=st.integers(1, 3),
    size=st.sampled_from((1, 3, 9, None)),
    patch=st.sampled_from((1, 3, 5)),
    strength=st.floats(0.05, 2),
)
def test_random_images_too(
    height: int, width: int, channels: int, size: int | None, patch: int, strength: float
) -> None:
    image = torch.rand(1, channels, height, width, dtype=torch.float64)
    neighborhood = {"kind": "window", "size": size} if size else {"kind": "whole"}
    result, _ = nl_means(channels, neighborhood=neighborhood, patch=patch, strength=strength)(image)
    np.testing.assert_allclose(result[0].numpy(), naive(image[0].numpy(), size, "clip", patch, strength), atol=1e-5)


def test_the_settings_are_those_of_the_catalog() -> None:
    image = torch.rand(1, 1, 12, 13, dtype=torch.float64)
    expected = naive(image[0].numpy(), 21, "clip", 5, 0.1)
    restored = toolbox.build("nl-means").double()(image)
    np.testing.assert_allclose(restored[0].numpy(), expected, atol=1e-5)


def test_there_is_nothing_to_train() -> None:
    restorer = toolbox.build("nl-means")
    assert not list(restorer.parameters())
    assert not restorer.state_dict()
    assert not list(nl_means(3).parameters())


@pytest.mark.parametrize("side", [1, 2, 3])
def test_pictures_smaller_than_a_patch_are_restored_too(side: int) -> None:
    image = torch.rand(1, 1, side, 7)
    restored = toolbox.build("nl-means")(image)
    assert restored.shape == image.shape
    assert image.min() <= restored.min() <= restored.max() <= image.max()  # a mean of what is there


def synthetic(side: int = 80) -> Array:
    """Smooth shading, edges of a disk and of bars: what a picture is made of, in [0, 1]."""
    y, x = np.mgrid[0:side, 0:side] / side
    shading = 0.45 + 0.2 * np.sin(3 * x + 1) * np.cos(2 * y)
    disk = np.where((x - 0.35) ** 2 + (y - 0.4) ** 2 < 0.06, 0.3, 0.0)
    bars = np.where((y > 0.7) & ((x * 10).astype(int) % 2 == 0), -0.3, 0.0)
    picture: Array = shading + disk + bars
    return picture


def test_it_denoises_a_picture_by_more_than_four_decibels() -> None:
    clean = synthetic()
    assert 0 <= clean.min() < clean.max() <= 1
    noisy = clean + np.random.default_rng(0).normal(0, 25 / 255, clean.shape)
    restored = toolbox.build("nl-means").double()(torch.from_numpy(noisy)[None, None])[0, 0].numpy()

    def psnr(image: Array) -> float:
        return -10 * math.log10(np.mean((image - clean) ** 2))

    assert psnr(noisy) == pytest.approx(20 * math.log10(255 / 25), abs=0.3)
    assert psnr(restored) > psnr(noisy) + 4


def test_brightness_only_moves_the_result() -> None:
    image = torch.rand(1, 1, 8, 9, dtype=torch.float64)
    module = nl_means()
    torch.testing.assert_close(module(image + 0.3)[0], module(image)[0] + 0.3)


def test_images_of_a_batch_do_not_see_each_other() -> None:
    image = torch.rand(3, 1, 6, 7, dtype=torch.float64) * torch.tensor([1.0, 5.0, 0.1]).view(3, 1, 1, 1)
    module = nl_means()
    together = module(image)[0]
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], module(image[i : i + 1])[0])


@pytest.mark.parametrize(("border", "radius"), [("clip", 2), ("shift", 4)])
def test_a_pixel_sees_as_far_as_declared(border: str, radius: int) -> None:
    module = nl_means(neighborhood={"kind": "window", "size": 5, "border": border}, patch=3, strength=0.5)
    assert module.config.receptive_field() == radius + 1
    image = torch.rand(1, 1, 8, 9, dtype=torch.float64)
    far = farthest(lambda moved: module(moved)[0], image)
    assert far == radius + 1


@pytest.mark.parametrize(("setting", "value"), [("patch", 0), ("patch", -1), ("strength", 0), ("strength", -0.5)])
def test_settings_that_cannot_be_are_refused(setting: str, value: float) -> None:
    block = {"name": "nl-means", setting: value}
    spec = {"channels": 1, "encoder": {"name": "nonlocal", "nonlocal": block}, "decoder": "features"}
    with pytest.raises(SpecError, match=rf"^encoder\.nonlocal\.{setting}: got {value}, expected "):
        resolve(spec)
