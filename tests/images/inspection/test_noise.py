"""The estimated noise against the noise that was added, on pictures that the estimator was not trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator, Tensor

from tests.shared import reference
from toolbox.degradations.correlated_noise import CorrelatedNoiseConfig, correlated_noise
from toolbox.degradations.noise import add_noise
from toolbox.images.inspection.noise import estimate_noise
from toolbox.pixels import rounded_to_bytes

EXAMPLES = Path(__file__).parents[3] / "examples" / "photos"


def picture(path: Path, mode: str = "RGB") -> Tensor:
    with Image.open(path) as file:
        pixels = np.array(file.convert(mode))
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1).float() / 255


def examples() -> list[Tensor]:
    return [picture(EXAMPLES / "camera.png", "L"), picture(EXAMPLES / "coffee.png"), picture(EXAMPLES / "chelsea.png")]


def errors(pictures: list[Tensor], noisy: list[Tensor]) -> list[float]:
    """The relative error of each estimate."""
    deviations = [255 * float((n - p).square().mean().sqrt()) for n, p in zip(noisy, pictures, strict=True)]
    estimates = [estimate_noise(rounded_to_bytes(each)) for each in noisy]
    return [abs(estimate / own - 1) for estimate, own in zip(estimates, deviations, strict=True)]


def seeds(count: int) -> list[Generator]:
    return [Generator().manual_seed(number) for number in range(count)]


@pytest.mark.parametrize("sigma", [5, 10, 25, 50])
def test_white_noise_is_estimated_within_a_fifth(sigma: float) -> None:
    pictures = examples()
    noisy = [add_noise(each, sigma, seed) for each, seed in zip(pictures, seeds(3), strict=True)]
    assert max(errors(pictures, noisy)) < 0.2


@pytest.mark.parametrize("sigma", [5, 15, 25])
def test_white_noise_of_set12_is_estimated_within_a_fifth(sigma: float) -> None:
    pictures = [picture(path, "L") for path in sorted(reference("data", "set12").iterdir())]
    noisy = [add_noise(each, sigma, seed) for each, seed in zip(pictures, seeds(len(pictures)), strict=True)]
    within = [error < 0.2 for error in errors(pictures, noisy)]
    assert sum(within) >= len(within) - 1


def test_correlated_noise_is_estimated_within_a_fifth() -> None:
    pictures = [picture(path, "L") for path in sorted(reference("data", "set12").iterdir())]
    config = CorrelatedNoiseConfig(sigma=20, blur=1.0)
    noisy = [
        correlated_noise(config, each, 1, seed).picture
        for each, seed in zip(pictures, seeds(len(pictures)), strict=True)
    ]
    within = [error < 0.2 for error in errors(pictures, noisy)]
    assert sum(within) >= len(within) - 1


def test_noise_of_a_camera_is_estimated_in_pairs_of_one_scene() -> None:
    folder = reference("data", "photos")
    names = sorted(path.name for path in folder.glob("noisy_??.png"))
    noisy = [picture(folder / name) for name in names]
    clean = [picture(folder / name.replace(".png", "_clean.png")) for name in names]
    assert all(estimate_noise(before) > estimate_noise(after) for before, after in zip(noisy, clean, strict=True))


def test_gray_saved_as_colors_is_gray() -> None:
    gray = add_noise(examples()[0], 20, Generator().manual_seed(0))
    assert estimate_noise(gray.expand(3, -1, -1)) == estimate_noise(gray)


def test_a_clean_picture_has_little() -> None:
    assert max(estimate_noise(each) for each in examples()) < 3
    assert estimate_noise(torch.full((3, 64, 64), 0.5)) < 1


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 70), (1, 64, 33), (3, 31, 31)])
def test_a_small_picture_gets_some_answer(shape: tuple[int, int, int]) -> None:
    assert 0 <= estimate_noise(torch.rand(shape)) < 255
