"""Scores against their definitions and against scikit-image."""

from __future__ import annotations

import math
import sys
import types
from typing import Any
from urllib.error import URLError

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import correlate
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn

from toolbox.errors import ImageError, ToolboxError
from toolbox.evaluation import metrics
from toolbox.evaluation.metrics import lpips, lr_psnr, metric, ms_ssim, psnr, psnr_b, ssim
from toolbox.luma import LUMA_OF_BLACK, luma

Pair = tuple[npt.NDArray[Any], npt.NDArray[Any]]

depths = st.sampled_from([np.uint8, np.uint16])


def pair(height: int, width: int, channels: int, depth: Any, strength: float, seed: int) -> Pair:
    """A picture of smooth and random parts, and the same with noise; (C, H, W)."""
    random, white = np.random.default_rng(seed), np.iinfo(depth).max
    original = random.random((channels, height, width)) * np.linspace(0, 1, width)
    restored = original + strength * random.standard_normal(original.shape)
    first, second = ((each.clip(0, 1) * white).round().astype(depth) for each in (restored, original))
    return first, second


def tensors(pictures: Pair) -> list[Tensor]:
    return [torch.from_numpy(each / np.iinfo(each.dtype).max)[None] for each in pictures]


# PSNR-B


def blocking_of(image: npt.NDArray[Any]) -> float:
    """The blocking effect factor of (H, W), step by step."""
    height, width = image.shape
    across: list[float] = []
    elsewhere: list[float] = []
    for y in range(height):
        for x in range(width - 1):
            (across if x % 8 == 7 else elsewhere).append((image[y, x] - image[y, x + 1]) ** 2)
    for y in range(height - 1):
        for x in range(width):
            (across if y % 8 == 7 else elsewhere).append((image[y, x] - image[y + 1, x]) ** 2)
    difference = np.mean(across) - np.mean(elsewhere)
    return math.log2(8) / math.log2(min(height, width)) * max(float(difference), 0.0)


@given(height=st.integers(9, 30), width=st.integers(9, 30), channels=st.sampled_from([1, 3]), steps=st.floats(0, 1))
def test_psnr_b_adds_the_blocking_effect_to_the_error(height: int, width: int, channels: int, steps: float) -> None:
    random = np.random.default_rng(height * 31 + width)
    original = random.random((channels, height, width)) * 0.1
    blocks = random.random((channels, 4, 4)).repeat(8, 1).repeat(8, 2)[:, :height, :width]
    restored = original + steps * blocks
    error = np.mean((restored - original) ** 2) + np.mean([blocking_of(channel) for channel in restored])
    found = psnr_b(*(torch.from_numpy(each)[None] for each in (restored, original)))
    assert found == pytest.approx(10 * np.log10(1 / error) if error else math.inf)


def test_psnr_b_is_psnr_where_there_are_no_blocks_and_less_where_there_are() -> None:
    original = torch.full((1, 3, 24, 32), 0.5, dtype=torch.float64)
    assert psnr_b(original + 0.1, original) == pytest.approx(20)
    step = original.clone()
    step[..., 8:] += 0.1
    assert psnr_b(step, original) < psnr(step, original) - 0.3
    inside = original.clone()
    inside[..., 12:] += 0.1
    assert psnr_b(inside, original) == pytest.approx(psnr(inside, original))


# PSNR


@given(height=st.integers(1, 9), width=st.integers(1, 9), distance=st.floats(1e-6, 1))
def test_psnr_is_that_of_the_mean_squared_error(height: int, width: int, distance: float) -> None:
    original = torch.rand(2, 3, height, width, dtype=torch.float64)
    restored = original + distance * torch.randn_like(original)
    squared = (restored.numpy() - original.numpy()) ** 2
    assert psnr(restored, original) == pytest.approx(10 * np.log10(1 / np.mean(squared)))


@given(
    size=st.tuples(st.integers(8, 30), st.integers(8, 30)),
    channels=st.sampled_from([1, 3]),
    depth=depths,
    strength=st.floats(0.01, 0.5),
    seed=st.integers(0, 99),
)
def test_psnr_agrees_with_scikit_image(
    size: tuple[int, int], channels: int, depth: Any, strength: float, seed: int
) -> None:
    restored, original = pair(*size, channels, depth, strength, seed)
    expected = peak_signal_noise_ratio(original, restored, data_range=np.iinfo(depth).max)
    assert psnr(*tensors((restored, original))) == pytest.approx(expected, abs=1e-6)


def test_a_hundredth_off_is_forty_decibels() -> None:
    image = torch.rand(1, 1, 4, 5, dtype=torch.float64)
    assert psnr(image + 0.01, image) == pytest.approx(40)


def test_equal_images_are_infinitely_good() -> None:
    image = torch.rand(1, 3, 4, 5)
    assert psnr(image, image) == math.inf


def test_single_precision_is_averaged_in_double() -> None:
    original = torch.zeros(1, 1, 512, 512)
    restored = torch.full_like(original, 1e-3)
    assert psnr(restored, original) == pytest.approx(-20 * math.log10(float(np.float32(1e-3))), abs=1e-9)


# SSIM


@given(
    size=st.tuples(st.integers(11, 40), st.integers(11, 40)),
    channels=st.sampled_from([1, 3]),
    depth=depths,
    strength=st.floats(0.01, 0.5),
    seed=st.integers(0, 99),
)
def test_ssim_agrees_with_scikit_image(
    size: tuple[int, int], channels: int, depth: Any, strength: float, seed: int
) -> None:
    restored, original = pair(*size, channels, depth, strength, seed)
    expected = structural_similarity(
        restored,
        original,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=np.iinfo(depth).max,
        channel_axis=0,
    )
    assert ssim(*tensors((restored, original))) == pytest.approx(expected, abs=1e-6)


def window() -> npt.NDArray[np.float64]:
    """The reference's Gaussian, as a square: MATLAB's fspecial('gaussian', 11, 1.5)."""
    y, x = np.mgrid[-5:6, -5:6]
    weights = np.exp(-(x**2 + y**2) / (2 * 1.5**2))
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def terms(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """SSIM's two terms on (H, W), where the square window fits."""

    def mean(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(correlate(image, window()))[5:-5, 5:-5]

    covariance = mean(x * y) - mean(x) * mean(y)
    variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
    luminance = (2 * mean(x) * mean(y) + 0.01**2) / (mean(x) ** 2 + mean(y) ** 2 + 0.01**2)
    return luminance, (2 * covariance + 0.03**2) / (variances + 0.03**2)


def test_ssim_is_the_reference_s_square_window_where_it_fits() -> None:
    restored, original = (each[0, 0].numpy() for each in tensors(pair(30, 23, 1, np.uint8, 0.1, 0)))
    luminance, structure = terms(restored, original)
    assert luminance.shape == (20, 13)
    found = ssim(*(torch.from_numpy(each)[None, None] for each in (restored, original)))
    assert found == pytest.approx(np.mean(luminance * structure), abs=1e-12)


@pytest.mark.parametrize("size", [(161, 161), (176, 203)])
def test_ms_ssim_is_the_product_of_five_halvings(size: tuple[int, int]) -> None:
    pictures = tensors(pair(*size, 1, np.uint8, 0.1, 0))
    x, y = (each[0, 0].numpy() for each in pictures)
    expected = 1.0
    for level, exponent in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if level:  # the reference's 2 × 2 mean; a side that is odd repeats its last pixel
            x, y = (np.pad(image, [(0, side % 2) for side in image.shape], mode="edge") for image in (x, y))
            x, y = (image.reshape(image.shape[0] // 2, 2, -1, 2).mean((1, 3)) for image in (x, y))
        luminance, structure = terms(x, y)
        expected *= (np.mean(luminance * structure) if level == 4 else np.mean(structure)) ** exponent
    assert ms_ssim(*pictures) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("measure", "side"), [(ssim, 11), (ms_ssim, 161)])
def test_equal_images_are_alike_and_too_small_ones_are_refused(measure: Any, side: int) -> None:
    image = torch.rand(1, 3, side, side)
    assert measure(image, image) == pytest.approx(1, abs=1e-12)
    with pytest.raises(ImageError, match=f"got a picture of {side - 1}x{side}, expected at least {side}x{side}"):
        measure(image[..., 1:], image[..., 1:])


@pytest.mark.parametrize("name", ["psnr", "ssim", "ms-ssim", "lpips"])
def test_pictures_of_different_sizes_are_refused(name: str) -> None:
    with pytest.raises(ImageError, match=r"got pictures of shapes .*, expected the same"):
        metric(name).measure(torch.zeros(1, 3, 20, 20), torch.zeros(1, 3, 20, 21))


# The others


def test_lr_psnr_reduces_again() -> None:
    low = torch.rand(1, 3, 8, 9, dtype=torch.float64)
    constant = torch.full((1, 3, 24, 27), 0.5, dtype=torch.float64)
    assert lr_psnr(constant, low) == pytest.approx(psnr(torch.full_like(low, 0.5), low))
    assert lr_psnr(low, low) == math.inf


class SquaredError(nn.Module):
    """In the place of LPIPS's network: sees RGB in [−1, 1]."""

    def __init__(self, net: str, verbose: bool) -> None:
        super().__init__()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        assert first.shape[1] == second.shape[1] == 3
        assert min(first.min(), second.min()) < -0.9
        return (first - second).square().mean((1, 2, 3), keepdim=True)


def test_lpips_is_what_its_package_says(monkeypatch: pytest.MonkeyPatch) -> None:
    package = types.ModuleType("lpips")
    package.LPIPS = SquaredError  # type: ignore[attr-defined]  # a module made up here
    monkeypatch.setitem(sys.modules, "lpips", package)
    monkeypatch.setattr(metrics, "lpips_network", metrics.lpips_network.__wrapped__)
    gray = torch.rand(1, 1, 16, 16)
    assert lpips(gray, 1 - gray) == pytest.approx((4 * (2 * gray - 1).square().mean()).item(), rel=1e-5)


def test_without_a_network_to_download_from_lpips_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(**_: object) -> nn.Module:
        raise URLError("no route")

    package = types.ModuleType("lpips")
    package.LPIPS = unreachable  # type: ignore[attr-defined]  # a module made up here
    monkeypatch.setitem(sys.modules, "lpips", package)
    with pytest.raises(ToolboxError, match=r"^lpips cannot get the weights of its network: .*no route"):
        metrics.lpips_network.__wrapped__()


def test_without_its_package_lpips_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    monkeypatch.setattr(metrics, "lpips_network", metrics.lpips_network.__wrapped__)
    with pytest.raises(ToolboxError, match=r"not installed; pip install 'toolbox-restoration\[lpips\]'$"):
        lpips(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16))


def test_luma_weighs_red_green_and_blue_as_matlab_does_without_the_offset() -> None:
    image = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    red, green, blue = image.numpy().transpose(1, 0, 2, 3)
    expected = (65.738 * red + 129.057 * green + 25.064 * blue) / 256
    assert luma(image).shape == (2, 1, 4, 5)
    np.testing.assert_allclose(luma(image).numpy()[:, 0], expected)


def test_luma_of_white_spans_sixteen_to_two_hundred_and_thirty_five() -> None:
    white = luma(torch.ones(1, 3, 1, 1, dtype=torch.float64)).item()
    assert 255 * white == pytest.approx(235 - 16, abs=0.02)
    assert 255 * LUMA_OF_BLACK == 16
