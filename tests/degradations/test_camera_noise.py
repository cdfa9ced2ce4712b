"""Camera noise: none where there is none, and where there is some, what physics and the camera make of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toolbox.choice import Choice
from toolbox.config import validated
from toolbox.degradations.camera_noise import (
    CAMERA_NOISE,
    Camera,
    _bayer,
    _demosaiced,
    _draw_camera,
    _to_picture,
    _to_raw,
    _with_noise,
)
from toolbox.degradations.spec import degraded_by
from toolbox.discovery import installed
from toolbox.errors import SpecError


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noisy(picture: Tensor, seed: int = 0, **settings: Any) -> Tensor:
    choice = Choice(CAMERA_NOISE, CAMERA_NOISE.config.model_validate(settings))
    return degraded_by([choice], picture, 1.0, generator(seed)).picture


def smooth(side: int) -> Tensor:
    rows, columns = torch.meshgrid(torch.linspace(0.1, 0.9, side), torch.linspace(0.2, 0.8, side), indexing="ij")
    return torch.stack((rows, columns, (rows + columns) / 2))


@given(st.integers(0, 10_000), st.integers(2, 20), st.integers(2, 20))
def test_no_noise_gives_the_picture_back(seed: int, height: int, width: int) -> None:
    picture = torch.rand(3, height, width, generator=generator(seed))
    settings = {"shot": 1e-14, "smooth_luma": 0, "smooth_chroma": 0}
    assert 255 * (noisy(picture, seed, **settings) - picture).abs().max() < 0.05


def test_all_that_is_drawn_comes_from_the_generator() -> None:
    picture = smooth(24)
    state = torch.get_rng_state()
    first, again, other = noisy(picture, 3), noisy(picture, 3), noisy(picture, 4)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_more_shot_noise_is_more_noise_and_a_range_is_drawn_by_its_logarithm() -> None:
    picture = smooth(48)

    def strengths(**settings: Any) -> Tensor:
        return torch.stack([(noisy(picture, seed, **settings) - picture).std() for seed in range(60)])

    weak, strong, drawn = (strengths(shot=shot).median() for shot in (1e-4, 1e-2, [1e-4, 1e-2]))
    assert 255 * weak < 4
    assert 255 * strong > 10
    assert weak * 1.5 < drawn < strong / 1.5
    assert drawn == pytest.approx(float(strengths(shot=1e-3).median()), rel=0.4)  # the middle of the logarithms


def test_a_bright_picture_has_more_noise_of_its_light_and_a_dark_one_of_its_shadows() -> None:
    flat = [torch.full((3, 64, 64), level) for level in (0.02, 0.5)]
    dark, middle = (
        torch.stack([(noisy(each, seed, shot=1e-3) - each).std() for seed in range(20)]).mean() for each in flat
    )
    assert not 0.8 < dark / middle < 1.25  # white noise would be alike


def test_neighbors_and_colors_resemble_each_other() -> None:
    picture = torch.full((3, 96, 96), 0.5)
    noise = noisy(picture, 1, shot=1e-3, smooth_luma=0, smooth_chroma=0) - picture
    rightward = (noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()
    assert rightward > 0.15  # 0 ± 0.006 if it were white
    smoothed = noisy(picture, 1, shot=1e-3, smooth_luma=0, smooth_chroma=2) - picture
    chroma = smoothed - smoothed.mean(0)
    assert (chroma[..., 2:] * chroma[..., :-2]).mean() / chroma.square().mean() > 0.6
    torch.testing.assert_close(smoothed.mean(0), noise.mean(0))  # brightness is as it was


@pytest.mark.parametrize(("shot", "read"), [(1e-3, 1e-6), (1e-2, 1e-3), (1e-5, 1e-4)])
def test_raw_values_have_noise_whose_variance_grows_with_them(shot: float, read: float) -> None:
    for level in (0.0, 0.1, 0.9):
        noise = _with_noise(torch.full((256, 256), level), shot, read, generator(7)) - level
        assert noise.var().item() == pytest.approx(shot * level + read, rel=4 * (2 / noise.numel()) ** 0.5)
        assert abs(noise.mean().item()) < 4 * noise.std().item() / 256


@pytest.mark.parametrize("phase", [[0, 0], [0, 1], [1, 0], [1, 1]])
def test_each_pixel_of_the_mosaic_measures_one_color_and_half_of_them_green(phase: list[int]) -> None:
    masks = _bayer(torch.zeros(3, 6, 8), phase)
    assert torch.equal(masks.sum(0), torch.ones(6, 8))
    assert masks.sum((1, 2)).tolist() == [12, 24, 12]
    assert masks[0, phase[0], phase[1]] == 1
    assert torch.equal(masks[0].roll((1, 1), (0, 1)), masks[2])  # blue is diagonal to red


@pytest.mark.parametrize("edge_gain", [0.0, 0.5])
def test_demosaicing_keeps_what_was_measured_and_planes_of_color(edge_gain: float) -> None:
    rows, columns = torch.meshgrid(torch.arange(12.0), torch.arange(10.0), indexing="ij")
    colors = torch.stack((rows, columns + 5, rows + 2 * columns))
    masks = _bayer(colors, [1, 0])
    raw = (colors * masks).sum(0)
    found = _demosaiced(raw, masks, edge_gain)
    assert torch.equal((found * masks).sum(0), raw)
    inside = (slice(None), slice(2, -2), slice(2, -2))
    torch.testing.assert_close(found[inside], colors[inside])


@given(st.integers(0, 10_000))
def test_a_camera_keeps_gray_gray_and_its_way_back_is_near(seed: int) -> None:
    camera = _draw_camera(generator(seed))
    torch.testing.assert_close(camera.matrix.sum(1), torch.ones(3))
    assert (camera.matrix > -1e-6).all()
    picture = torch.rand(3, 1, 1, generator=generator(seed)).expand(3, 8, 8) * 0.9 + 0.05
    masks = _bayer(picture, [0, 0])
    raw = (_to_raw(picture, camera) * masks).sum(0)
    assert (_to_picture(raw, masks, camera) - picture).abs().max() < 0.02


def test_without_white_balance_and_tone_curve_raw_values_are_linear_light() -> None:
    camera = Camera(torch.eye(3), torch.ones(3, 1, 1), contrast=0.0, edge_gain=0.0)
    picture = torch.full((3, 2, 2), 0.5)
    torch.testing.assert_close(_to_raw(picture, camera), picture**2.2)


def test_a_gray_picture_gets_gray_noise() -> None:
    picture = torch.full((1, 16, 16), 0.5)
    assert noisy(picture).shape == (1, 16, 16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shot": [1e-2, 1e-4]}, r"shot: got \[0\.01, 0\.0001\], expected a range, the smaller number first"),
        ({"shot": 0}, r"shot: got 0, expected greater than 0"),
        ({"smooth_luma": 9}, r"smooth_luma: got 9, expected less than or equal to 4"),
        ({"iso": 800}, r"iso: unknown key"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        validated(CAMERA_NOISE.config, settings, installed(), "")


def test_it_is_found_by_name_with_its_settings() -> None:
    found = installed().degradations["camera-noise"]
    assert found.degrade is CAMERA_NOISE.degrade
    data = Choice(found, found.config()).to_data()
    assert data["name"] == "camera-noise"
    assert data["shot"] == (1e-4, 2e-2)
