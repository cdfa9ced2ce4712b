"""The weights that ship: what they do to photographs they have never seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import toolbox
from toolbox.images.files.picture import read_picture

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"


def psnr(picture: np.ndarray[Any, Any], original: np.ndarray[Any, Any]) -> float:
    error = np.square(picture.astype(np.float64) - original.astype(np.float64)).mean()
    return float(10 * np.log10(255**2 / error))


def test_the_denoiser_gains_five_decibels() -> None:
    clean = np.asarray(read_picture(PHOTOS / "camera.png"))[160:320, 160:320]
    noise = np.random.default_rng(0).normal(0, 25, clean.shape)
    noisy = (clean + noise).round().clip(0, 255).astype(np.uint8)
    restored = toolbox.restore(noisy, "nlrn-lite")
    assert psnr(restored, clean) > psnr(noisy, clean) + 5


@pytest.mark.parametrize("scale", [2, 2.5, 4])
@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_the_enlarger_beats_bicubic(name: str, scale: float) -> None:
    photo = read_picture(PHOTOS / f"{name}.png")
    original = photo.crop((60, 60, 220, 220))
    side = round(160 / scale)
    small = original.resize((side, side), Image.Resampling.BICUBIC)
    enlarged = np.asarray(toolbox.restore(small, size=(160, 160)))
    bicubic = np.asarray(toolbox.restore(small, toolbox.build("bicubic"), size=(160, 160)))
    assert psnr(enlarged, np.asarray(original)) > psnr(bicubic, np.asarray(original)) + 0.3


@pytest.mark.parametrize("scale", [2, 3])
def test_one_pass_beats_denoising_and_then_enlarging(scale: int) -> None:
    photo = read_picture(PHOTOS / "chelsea.png").crop((60, 60, 240, 240))
    small = np.asarray(photo.resize((180 // scale, 180 // scale), Image.Resampling.BICUBIC))
    noise = np.random.default_rng(0).normal(0, 15, small.shape)
    noisy = (small + noise).round().clip(0, 255).astype(np.uint8)
    one_pass = toolbox.restore(noisy, "nlrn-diinn-lite", size=(180, 180))
    two_passes = toolbox.restore(toolbox.restore(noisy, "nlrn-lite-blind"), "bicubic", size=(180, 180))
    assert psnr(one_pass, np.asarray(photo)) > psnr(two_passes, np.asarray(photo)) + 0.5


@pytest.mark.parametrize("name", ["nlrn-lite", "nlrn-lite-blind", "diinn-lite", "nlrn-diinn-lite"])
def test_the_header_says_how_the_weights_were_trained(name: str) -> None:
    record = toolbox.load(name).training_record
    assert record
    (info,) = (info for info in toolbox.list_architectures() if info.name == name)
    assert isinstance(info.weights, Path)
    assert info.weights.stat().st_size < 2**20
