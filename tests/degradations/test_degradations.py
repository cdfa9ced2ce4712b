"""Degradations: noise, reduction, rounding and JPEG, found by name."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from toolbox.degradations.noise import GAUSSIAN_NOISE, add_noise
from toolbox.discovery import installed
from toolbox.errors import PluginError
from toolbox.imresize import imresize
from toolbox.learning import Degraded
from toolbox.records import DegradationInfo
from toolbox.registry import Registries


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def degrade(name: str, picture: Tensor, scale: float = 1.0, seed: int = 0, **settings: Any) -> Tensor:
    info = installed().degradations[name]
    result = info.degrade(info.config.model_validate(settings), picture, scale, generator(seed))
    return result.picture if isinstance(result, Degraded) else result


@pytest.mark.parametrize("sigma", [5, 25, 50])
def test_noise_has_the_standard_deviation_asked_for_and_no_mean(sigma: float) -> None:
    clean = torch.rand(4, 1, 128, 128)
    noise = 255 * (add_noise(clean, sigma, generator(1)) - clean)
    count = noise.numel()
    assert noise.std().item() == pytest.approx(sigma, rel=4 / (2 * count) ** 0.5)
    assert abs(noise.mean().item()) < 4 * sigma / count**0.5


def test_noise_is_gaussian_and_not_clipped() -> None:
    noisy = add_noise(torch.ones(1, 1, 256, 256), 25, generator(0))
    noise = (noisy - 1) * 255 / 25
    within = [(noise.abs() < deviations).double().mean().item() for deviations in (1, 2, 3)]
    assert within == pytest.approx([0.6827, 0.9545, 0.9973], abs=0.01)
    assert noisy.max() > 1.2


def test_noise_depends_on_the_seed_alone() -> None:
    clean = torch.rand(1, 3, 4, 5)
    assert torch.equal(add_noise(clean, 25, generator(3)), add_noise(clean, 25, generator(3)))
    assert not torch.equal(add_noise(clean, 25, generator(3)), add_noise(clean, 25, generator(4)))
    moved = add_noise(clean + 0.5, 25, generator(3)) - 0.5
    torch.testing.assert_close(moved, add_noise(clean, 25, generator(3)))


def test_noise_is_that_of_the_generator_on_the_scale_of_eight_bits() -> None:
    clean = torch.rand(2, 1, 4, 5)
    expected = clean + 25 / 255 * torch.randn(2, 1, 4, 5, generator=generator(7))
    torch.testing.assert_close(add_noise(clean, 25, generator(7)), expected)
    assert torch.equal(degrade("gaussian-noise", clean[0], seed=7, sigma=25), add_noise(clean[0], 25, generator(7)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_leaves_the_type_and_the_image_as_they_were(dtype: torch.dtype) -> None:
    clean = torch.rand(1, 3, 4, 5, dtype=dtype)
    before = clean.clone()
    assert add_noise(clean, 25, generator(0)).dtype == dtype
    assert torch.equal(clean, before)


def test_no_noise_is_no_change() -> None:
    clean = torch.rand(1, 3, 4, 5)
    assert torch.equal(add_noise(clean, 0, generator(0)), clean)


def test_a_range_of_noise_is_drawn_from_evenly() -> None:
    clean = torch.full((1, 64, 64), 0.5)
    noisy = [degrade("gaussian-noise", clean, seed=seed, sigma=[5, 50]) for seed in range(200)]
    sigmas = np.array([255 * (each - clean).std().item() for each in noisy])
    assert sigmas.min() > 4
    assert sigmas.max() < 53
    assert np.quantile(sigmas, [0.25, 0.5, 0.75]) == pytest.approx([16, 27.5, 39], abs=5)


@given(height=st.integers(4, 20), width=st.integers(4, 20), scale=st.floats(1, 4))
def test_reduction_is_matlab_s_of_eight_bits(height: int, width: int, scale: float) -> None:
    levels = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
    size = round(height / scale), round(width / scale)
    expected = imresize(levels, size=size)
    assert torch.equal((degrade("bicubic", levels / 255, scale) * 255).round().to(torch.uint8), expected)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_eight_bits_clips_and_rounds_a_share_of_the_patches(share: float) -> None:
    picture = torch.linspace(-0.5, 1.5, 36).reshape(1, 6, 6)
    rounded = (picture.clamp(0, 1) * 255).round() / 255
    results = [degrade("eight-bits", picture, seed=seed, share=share) for seed in range(400)]
    changed = [not torch.equal(result, picture) for result in results]
    assert np.mean(changed) == pytest.approx(share, abs=0.07)
    assert all(torch.allclose(result, rounded) for result, is_new in zip(results, changed, strict=True) if is_new)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_pillow_s(channels: int) -> None:
    levels = torch.randint(0, 256, (channels, 17, 21), dtype=torch.uint8)
    pixels = levels.permute(1, 2, 0).numpy()
    memory = io.BytesIO()
    Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(memory, "JPEG", quality=30)
    expected = np.array(Image.open(memory)).reshape(17, 21, channels)
    restored = (degrade("jpeg", levels / 255, quality=30) * 255).round().permute(1, 2, 0).numpy()
    assert np.array_equal(restored, expected)


def test_what_is_done_is_told() -> None:
    picture = torch.full((1, 64, 64), 0.5)
    for name, settings in (("gaussian-noise", {"sigma": [5, 50]}), ("jpeg", {"quality": [10, 90]})):
        info = installed().degradations[name]
        told = [info.degrade(info.config.model_validate(settings), picture, 1.0, generator(seed)) for seed in range(5)]
        assert all(isinstance(each, Degraded) for each in told)
        if name == "gaussian-noise":
            for noisy, conditions in told:
                assert 255 * (noisy - picture).std().item() == pytest.approx(conditions["sigma"], rel=0.05)
        else:
            assert all(10 <= conditions["quality"] <= 90 for _, conditions in told)


def test_jpeg_s_quality_is_drawn_from_a_range() -> None:
    picture = torch.rand(1, 16, 16, generator=generator(0))
    errors = [(degrade("jpeg", picture, seed=seed, quality=[5, 95]) - picture).abs().mean() for seed in range(20)]
    assert max(errors) > 2 * min(errors)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_jpeg_keeps_or_halves_the_resolution_of_colors(subsampling: str) -> None:
    picture = torch.full((3, 16, 16), 0.5)
    picture[0, :, ::2], picture[2, :, ::2] = 0.9, 0.3  # columns of color, one pixel wide
    error = (degrade("jpeg", picture, quality=100, subsampling=[subsampling]) - picture).abs().max()
    assert (error < 0.02) == (subsampling == "4:4:4")


def test_jpeg_s_subsampling_is_drawn_from_a_list() -> None:
    picture = torch.rand(3, 16, 16, generator=generator(0))
    choices = ["4:4:4", "4:2:0"]
    expected = [degrade("jpeg", picture, quality=90, subsampling=[each]) for each in choices]
    found = [degrade("jpeg", picture, seed=seed, quality=90, subsampling=choices) for seed in range(40)]
    drawn = [[torch.equal(each, one) for one in expected].index(True) for each in found]
    assert 8 < sum(drawn) < 32


def test_jpeg_s_blocks_begin_at_a_drawn_place() -> None:
    picture = torch.rand(1, 24, 24, generator=generator(0)).cumsum(2) / 24
    edges = set()
    for seed in range(60):
        changed = degrade("jpeg", picture, seed=seed, quality=1, shifted=True)[0]
        steps = (changed[:, 1:] - changed[:, :-1]).abs().sum(0)
        edges.add(int(steps[8:16].argmax()))  # within eight columns there is one edge of a block
    assert edges == set(range(8))
    assert torch.equal(degrade("jpeg", picture, seed=1, quality=1), degrade("jpeg", picture, seed=2, quality=1))


def test_a_plugin_adds_degradations_and_takes_no_name_that_is_taken() -> None:
    mine = DegradationInfo("gray-out", lambda config, picture, scale, g: picture, GAUSSIAN_NOISE.config, "", "none")
    own = Registries.empty()
    own.add_plugin("mine", degradations=[mine])
    assert own.degradations["gray-out"].provider == "mine"
    with pytest.raises(PluginError, match=r"^degradation 'gray-out' of yours is already provided by mine"):
        own.add_plugin("yours", degradations=[mine])
    with pytest.raises(PluginError, match=r"^got 'noise', expected a DegradationInfo$"):
        own.add_plugin("yours", degradations=["noise"])  # type: ignore[list-item]  # the fault
    assert [info.name for info in own.degradations] == ["gray-out"]
