"""Protocols against their definitions, written in numpy."""

from __future__ import annotations

import dataclasses
import math
import sys

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb2ycbcr
from skimage.metrics import structural_similarity
from torch import Tensor

from toolbox.discovery import installed
from toolbox.errors import ImageError, SpecError, ToolboxError
from toolbox.evaluation.metrics import METRICS
from toolbox.evaluation.protocols import PROTOCOLS, describe, measure, metrics_of
from toolbox.records import ProtocolInfo

Array = npt.NDArray[np.float64]

NAMES = {
    *("sr-y", "liif-benchmark", "liif-div2k", "diinn", "noisy-sr"),
    *("denoise-gray", "denoise-color", "denoise-bands", "nlrn-patches"),
    *("jpeg", "jpeg-luma", "real-pairs"),
}


def protocol(name: str) -> ProtocolInfo:
    return installed().protocols[name]


def scored(name: str, restored: Tensor, original: Tensor, scale: float = 1.0) -> dict[str, float]:
    return measure(protocol(name), restored, original, original, scale)


def psnr(difference: Array) -> float:
    return -10 * math.log10(np.mean(difference**2))


def inside(image: Array, border: int) -> Array:
    return image[..., border : image.shape[-2] - border, border : image.shape[-1] - border]


def levels(image: Tensor) -> Array:
    """(1, C, H, W) in [0, 1], rounded to 0, 1, … 255."""
    return np.round(image[0].double().numpy() * 255)


# The records


def test_the_core_s_protocols_are_registered() -> None:
    assert {each.name for each in PROTOCOLS} == NAMES
    assert {each.name for each in installed().protocols if each.provider == "toolbox"} == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_protocol_says_what_it_is(name: str) -> None:
    record = protocol(name)
    assert record.summary
    assert record.source
    assert set(record.metrics) <= {each.name for each in METRICS}
    words = describe(record)
    assert set(words) == {
        *("metrics", "color", "shave", "rounding", "clipping", "input", "run", "tells", "source", "plugin"),
    }
    assert all(words.values())
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.rounds = True  # type: ignore[misc]  # that is the point


def test_descriptions_say_what_differs() -> None:
    words = {name: describe(protocol(name)) for name in NAMES}
    assert words["liif-div2k"]["shave"] == "scale + 6 px on each side"
    assert words["sr-y"]["shave"] == "scale px on each side"
    assert words["diinn"]["shave"] == "none"
    assert words["liif-benchmark"]["rounding"] == "none"
    assert words["sr-y"]["rounding"] == "the output is rounded to 8 bits"
    assert "imresize" in words["diinn"]["input"]
    assert "seed 0 for each picture" in words["denoise-color"]["input"]
    assert "the noisy input is not" in words["denoise-gray"]["clipping"]
    assert words["nlrn-patches"]["run"] == "patches of 45x45 at stride 7, averaged"
    assert [words[name]["tells"] for name in ("denoise-gray", "jpeg", "sr-y")] == ["sigma", "quality", "nothing"]


# Super-resolution


@given(
    height=st.integers(12, 20),
    width=st.integers(12, 20),
    scale=st.sampled_from((1.0, 2.0, 3.0, 4.0, 2.25, 3.6)),
    distance=st.floats(1e-3, 0.3),
)
def test_liif_benchmark_is_the_psnr_of_the_luma_of_the_difference(
    height: int, width: int, scale: float, distance: float
) -> None:
    original = torch.rand(1, 3, height, width)
    restored = (original + distance * torch.randn_like(original)).clamp(0, 1)
    red, green, blue = (restored.double() - original.double())[0].numpy()
    luma = (65.738 * red + 129.057 * green + 25.064 * blue) / 256
    expected = psnr(inside(luma, round(scale)))
    assert scored("liif-benchmark", restored, original, scale) == {"psnr": pytest.approx(expected, abs=1e-6)}


@given(scale=st.sampled_from((1.0, 2.0, 3.0, 2.4)), distance=st.floats(1e-3, 0.3))
def test_liif_div2k_is_the_psnr_of_rgb_without_six_pixels_more_than_the_scale(scale: float, distance: float) -> None:
    original = torch.rand(1, 3, 24, 31)
    restored = (original + distance * torch.randn_like(original)).clamp(0, 1)
    expected = psnr(inside((restored.double() - original.double())[0].numpy(), round(scale) + 6))
    assert scored("liif-div2k", restored, original, scale) == {"psnr": pytest.approx(expected, abs=1e-6)}


@given(scale=st.sampled_from((2.0, 3.0, 4.0)), distance=st.floats(0.01, 0.3))
def test_sr_y_is_psnr_and_ssim_of_the_luma_of_rounded_pictures(scale: float, distance: float) -> None:
    original = torch.randint(0, 256, (1, 3, 21, 30)) / 255
    restored = (original + distance * torch.randn_like(original)).clamp(0, 1)
    lumas = [
        inside(rgb2ycbcr(levels(image).transpose(1, 2, 0) / 255)[..., 0], int(scale)) for image in (restored, original)
    ]
    similarity = structural_similarity(
        *lumas, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    expected = {"psnr": psnr((lumas[0] - lumas[1]) / 255), "ssim": similarity}
    # scikit-image has MATLAB's weights to three digits after the point.
    assert scored("sr-y", restored, original, scale) == pytest.approx(expected, abs=2e-4)


def test_diinn_scores_all_of_rgb_and_the_way_back() -> None:
    low = torch.rand(1, 3, 8, 9)
    original = torch.rand(1, 3, 16, 18)
    restored = torch.full_like(original, 0.5)
    found = measure(protocol("diinn"), restored, original, low, 2.0)
    assert list(found) == ["psnr", "ssim", "lr-psnr"]
    assert found["psnr"] == pytest.approx(psnr((restored - original).double().numpy()), abs=1e-6)
    assert found["lr-psnr"] == pytest.approx(psnr((low - 0.5).double().numpy()), abs=1e-6)


@pytest.mark.parametrize(("name", "more"), [("liif-benchmark", 0), ("sr-y", 0), ("liif-div2k", 6)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_as_many_pixels_are_left_out_as_the_protocol_says(name: str, more: int, scale: int) -> None:
    original = torch.full((1, 3, 40, 41), 0.4)
    border = scale + more
    wrong = original + 0.1
    inner = original.clone()
    inner[..., border:-border, border:-border] += 0.1
    assert scored(name, inner, original, scale) == pytest.approx(scored(name, wrong, original, scale))
    outer = wrong - (inner - original)
    assert scored(name, outer, original, scale)["psnr"] == math.inf
    outer[..., border, border] += 0.1  # the first pixel that counts
    assert scored(name, outer, original, scale)["psnr"] < math.inf


@pytest.mark.parametrize("name", ["liif-benchmark", "liif-div2k", "diinn"])
def test_nothing_is_rounded_where_the_protocol_does_not(name: str) -> None:
    original = torch.full((1, 3, 24, 24), 0.5)
    assert scored(name, original + 0.2 / 255, original, 2)["psnr"] < 65


def test_a_picture_smaller_than_the_border_is_refused() -> None:
    image = torch.rand(1, 3, 16, 40)
    sentence = "got a picture of 40x16, expected one larger than the 8 px left out all round"
    with pytest.raises(ImageError, match=sentence):
        scored("liif-div2k", image, image, 2)


def test_another_size_than_the_original_s_is_refused() -> None:
    with pytest.raises(ImageError, match="got a restored picture of 20x16, expected 21x16, the original's"):
        scored("diinn", torch.zeros(1, 3, 16, 20), torch.zeros(1, 3, 16, 21))


# Denoising


@pytest.mark.parametrize(("name", "channels"), [("denoise-gray", 1), ("denoise-color", 3), ("nlrn-patches", 1)])
@given(height=st.integers(1, 12), width=st.integers(1, 12), distance=st.floats(0.01, 0.3))
def test_denoising_rounds_the_output_to_8_bits_and_leaves_nothing_out(
    name: str, channels: int, height: int, width: int, distance: float
) -> None:
    original = torch.randint(0, 256, (1, channels, height, width)) / 255
    restored = (original + distance + distance * torch.rand_like(original)).clamp(0, 1)
    difference = (levels(restored) - levels(original)) / 255
    expected = psnr(difference) if difference.any() else math.inf
    assert scored(name, restored, original)["psnr"] == pytest.approx(expected, abs=1e-9)


def test_denoising_sees_no_difference_below_half_a_level() -> None:
    original = torch.randint(0, 255, (1, 1, 20, 20)) / 255
    assert scored("denoise-gray", original + 0.4 / 255, original)["psnr"] == math.inf
    assert scored("denoise-gray", original + 0.6 / 255, original)["psnr"] < 50


# More than a protocol's own metrics


def test_metrics_can_be_added_once() -> None:
    image = torch.rand(1, 1, 12, 13)
    metrics = metrics_of(protocol("denoise-gray"), ["ssim", "psnr"])
    assert list(measure(protocol("denoise-gray"), image, 1 - image, image, 1.0, metrics)) == ["psnr", "ssim"]


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(SpecError, match=r"^unknown metric 'psrn'; did you mean 'psnr' "):
        metrics_of(protocol("denoise-gray"), ["psrn"])


def test_a_metric_whose_package_is_missing_is_refused_before_anything_is_scored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(ToolboxError, match=r"pip install 'toolbox-restoration\[lpips\]'$"):
        metrics_of(protocol("sr-y"), ["lpips"])
