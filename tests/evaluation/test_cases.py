"""Which pictures of a folder are scored, and from what input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from toolbox.discovery import installed
from toolbox.errors import ImageError, SpecError
from toolbox.evaluation.cases import Case, Sample, find_cases, read_sample
from toolbox.imresize import imresize
from toolbox.records import ProtocolInfo


def protocol(name: str) -> ProtocolInfo:
    return installed().protocols[name]


def draw(path: Path, *shape: int, seed: int = 0) -> torch.Tensor:
    """Write a picture of random values, (H, W) or (H, W, 3); gives it as (1, 1 or 3, H, W), uint8."""
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(values).save(path)
    return torch.from_numpy(values.reshape(*shape[:2], -1)).permute(2, 0, 1)[None]


def named(cases: list[Case]) -> list[tuple[str, str | None, float | None]]:
    return [(case.original.name, case.low.name if case.low else None, case.scale) for case in cases]


# Which


def test_every_picture_is_given_noise(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "c_LR.tif"):
        draw(tmp_path / name, 8, 8)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "folder").mkdir()
    found = named(find_cases(tmp_path, protocol("denoise-gray")))
    assert found == [("a.JPG", None, 1.0), ("b.png", None, 1.0), ("c_LR.tif", None, 1.0)]


def test_pairs_are_found_by_name_and_the_rest_passed_over(tmp_path: Path) -> None:
    for name in ("b_HR.png", "a_HR.png", "a_LR.bmp", "other.png", "c_LR.png"):
        draw(tmp_path / name, 8, 8, 3)
    found = named(find_cases(tmp_path, protocol("sr-y")))
    assert found == [("a_HR.png", "a_LR.bmp", None), ("b_HR.png", "b_LR.png", None)]


def test_pairs_may_end_in_something_else(tmp_path: Path) -> None:
    for name in ("a.png", "ax2.png", "b_HR.png", "bx2.png"):
        draw(tmp_path / name, 8, 8, 3)
    assert named(find_cases(tmp_path, protocol("sr-y"), low="x2")) == [
        ("a.png", "ax2.png", None),
        ("b_HR.png", "bx2.png", None),
    ]


def test_pairs_may_be_in_two_folders(tmp_path: Path) -> None:
    for name in ("hr/0801.png", "hr/b_HR.png", "hr/c.png", "hr/d.png", "lr/0801x2.png", "lr/b_LR.png", "lr/c.jpg"):
        draw(tmp_path / name, 8, 8, 3)
    found = find_cases(tmp_path / "hr", protocol("sr-y"), low=str(tmp_path / "lr"))
    assert [case.low for case in found] == [tmp_path / "lr" / n for n in ("0801x2.png", "b_LR.png", "c.jpg", "d.png")]


def test_pairs_have_one_scale(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 8, 8, 3)
    with pytest.raises(SpecError, match="got low resolution and several scales, expected one"):
        find_cases(tmp_path, protocol("sr-y"), low="_LR", scales=[2, 3])


def test_originals_are_taken_once_for_each_scale(tmp_path: Path) -> None:
    for name in ("a.png", "b_HR.png", "b_LR.png"):
        draw(tmp_path / name, 8, 8, 3)
    found = named(find_cases(tmp_path, protocol("sr-y"), scales=[2, 2.5]))
    assert found == [(name, None, scale) for scale in (2, 2.5) for name in ("a.png", "b_HR.png")]


@pytest.mark.parametrize("arguments", [{"low": "_LR"}, {"scales": [2]}])
def test_noise_and_low_resolution_do_not_mix(tmp_path: Path, arguments: dict[str, object]) -> None:
    draw(tmp_path / "a.png", 8, 8)
    with pytest.raises(SpecError, match="got low resolution or scales, but denoise-gray adds noise"):
        find_cases(tmp_path, protocol("denoise-gray"), **arguments)  # type: ignore[arg-type]  # one of them


@pytest.mark.parametrize("name", ["denoise-gray", "liif-benchmark"])
def test_a_folder_that_is_none_or_empty_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(ImageError, match=rf"{path.name} is not a folder, expected one with pictures$"):
            find_cases(path, protocol(name))
    with pytest.raises(ImageError, match=r": nothing to score, expected pictures \(\.png"):
        find_cases(tmp_path, protocol(name))


def test_pictures_without_pairs_are_refused_where_no_scale_is_given(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 8, 8, 3)
    sentence = r": nothing to score, sr-y expected pairs named \*_HR and \*_LR, or scales "
    with pytest.raises(ImageError, match=sentence):
        find_cases(tmp_path, protocol("sr-y"))
    with pytest.raises(ImageError, match=r": nothing to score, sr-y expected \*x2 beside \*$"):
        find_cases(tmp_path, protocol("sr-y"), low="x2")


# From what input


def sample(folder: Path, name: str, scale: float = 1.0, sigma: float = 25.0) -> Sample:
    (case,) = find_cases(folder, protocol(name), scales=[scale] if scale != 1 else [])
    return read_sample(case, protocol(name), sigma)


@pytest.mark.parametrize(("name", "channels"), [("denoise-gray", 1), ("denoise-color", 3), ("nlrn-patches", 1)])
@pytest.mark.parametrize("sigma", [0.0, 15.0, 50.0])
def test_noise_is_that_of_seed_0_on_0_to_255_and_not_clipped(
    tmp_path: Path, name: str, channels: int, sigma: float
) -> None:
    picture = draw(tmp_path / "a.png", 40, 50, *([3] if channels == 3 else []))
    torch.manual_seed(1234)
    state = torch.random.get_rng_state()
    found = sample(tmp_path, name, sigma=sigma)
    assert torch.equal(torch.random.get_rng_state(), state)
    noise = torch.randn((1, channels, 40, 50), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found.original, picture / 255)
    torch.testing.assert_close(found.degraded, picture / 255 + noise * sigma / 255)
    assert (found.degraded.min() < 0 and found.degraded.max() > 1) == (sigma > 0)


def test_noise_can_be_on_a_low_resolution_picture(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 40, 50, 3)
    clean, noisy = sample(tmp_path, "sr-y", 2.5), sample(tmp_path, "noisy-sr", 2.5, sigma=15.0)
    noise = torch.randn((1, 3, 16, 20), generator=torch.Generator().manual_seed(0))
    assert torch.equal(noisy.original, clean.original)
    assert noisy.scale == 2.5
    torch.testing.assert_close(noisy.degraded, clean.degraded + noise * 15 / 255)


@given(height=st.integers(8, 30), width=st.integers(8, 30), scale=st.sampled_from([2, 3, 4, 2.5, 1.7]))
def test_low_resolution_is_matlab_s_of_the_part_that_it_covers(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, scale: float
) -> None:
    folder = tmp_path_factory.mktemp("pictures")
    picture = draw(folder / "a.png", height, width, 3)
    found = sample(folder, "sr-y", scale)
    low = int(height / scale), int(width / scale)
    cropped = picture[..., : round(low[0] * scale), : round(low[1] * scale)]
    assert found.scale == scale
    assert torch.equal(found.original * 255, cropped.float())
    assert torch.equal((found.degraded * 255).round().to(torch.uint8), imresize(cropped, size=low))


def test_pixels_that_a_pair_does_not_cover_are_left_out(tmp_path: Path) -> None:
    picture = draw(tmp_path / "a_HR.png", 23, 30, 3)
    draw(tmp_path / "a_LR.png", 7, 10, 3)
    found = sample(tmp_path, "sr-y")
    assert found.scale == 3
    assert torch.equal(found.original * 255, picture[..., :21, :].float())


@pytest.mark.parametrize(
    ("large", "small", "scale"),
    [
        ((24, 36), (8, 12), 3),
        ((25, 38), (9, 13), 3),
        ((20, 30), (8, 12), 2.5),
        ((8, 8), (8, 8), 1),
        ((31, 40), (8, 10), 4),
    ],
)
def test_the_scale_is_that_of_the_pair(
    tmp_path: Path, large: tuple[int, int], small: tuple[int, int], scale: float
) -> None:
    draw(tmp_path / "a_HR.png", *large, 3)
    draw(tmp_path / "a_LR.png", *small, 3)
    assert sample(tmp_path, "sr-y").scale == scale


@pytest.mark.parametrize("small", [(8, 20), (12, 9), (30, 8), (48, 72), (25, 36)])
def test_a_pair_of_different_pictures_is_refused(tmp_path: Path, small: tuple[int, int]) -> None:
    draw(tmp_path / "a_HR.png", 24, 36, 3)
    draw(tmp_path / "a_LR.png", *small, 3)
    sentence = f"got a pair of 36x24 and {small[1]}x{small[0]} pixels, expected the same scale on both axes"
    with pytest.raises(ImageError, match=sentence):
        sample(tmp_path, "sr-y")


def test_a_pair_of_another_scale_than_asked_for_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 24, 36, 3)
    draw(tmp_path / "a_LR.png", 12, 18, 3)
    (case,) = find_cases(tmp_path, protocol("sr-y"), low="_LR", scales=[4])
    with pytest.raises(ImageError, match="got a pair of scale 2, expected 4"):
        read_sample(case, protocol("sr-y"), 0)


def test_a_missing_partner_is_named(tmp_path: Path) -> None:
    draw(tmp_path / "b_HR.png", 16, 16, 3)
    with pytest.raises(ImageError, match=r"b_LR\.png is missing, expected the partner of b_HR\.png$"):
        sample(tmp_path, "sr-y")


def test_a_picture_too_small_for_the_scale_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 3, 30, 3)
    with pytest.raises(ImageError, match="got a picture of 30x3, too small to reduce by 4"):
        sample(tmp_path, "sr-y", 4)


def test_a_gray_file_among_color_is_scored_as_equal_channels_and_said_to_be(tmp_path: Path) -> None:
    picture = draw(tmp_path / "a.png", 12, 16)
    found = sample(tmp_path, "sr-y", 2)
    assert torch.equal(found.original * 255, picture.expand(1, 3, 12, 16).float())
    assert found.notes == ("a gray picture, scored as equal channels of color",)


def test_sixteen_bits_are_kept_in_the_original(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 2**16, (12, 16), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    found = sample(tmp_path, "denoise-gray", sigma=0)
    assert np.array_equal((found.original[0, 0].double().numpy() * 65535).round(), values)


def test_the_hash_is_of_both_files(tmp_path: Path) -> None:
    draw(tmp_path / "a_HR.png", 8, 8, 3)
    draw(tmp_path / "a_LR.png", 4, 4, 3)
    (case,) = find_cases(tmp_path, protocol("sr-y"))
    hashes = {case.sha256()}
    for name in ("a_HR.png", "a_LR.png"):
        draw(tmp_path / name, 8, 8, 3, seed=5)
        hashes.add(case.sha256())
    assert len(hashes) == 3


# JPEG, and pairs of one size


@pytest.mark.parametrize("quality", [5, 90])
@pytest.mark.parametrize("name", ["jpeg", "jpeg-luma"])
def test_jpeg_is_pillow_s_of_the_asked_quality(tmp_path: Path, name: str, quality: int) -> None:
    picture = draw(tmp_path / "a.png", 18, 25, 3)
    Image.open(tmp_path / "a.png").save(tmp_path / "b.jpg", quality=quality)
    (case,) = [each for each in find_cases(tmp_path, protocol(name)) if each.original.name == "a.png"]
    found = read_sample(case, protocol(name), 0, quality)
    expected = torch.from_numpy(np.array(Image.open(tmp_path / "b.jpg"))).permute(2, 0, 1)[None]
    assert torch.equal((found.degraded * 255).round(), expected.float())
    torch.testing.assert_close(found.original, picture / 255)


def test_real_pairs_are_found_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "b_clean.png", "a_clean.png", "a.jpg", "other.png", "c_clean.png"):
        draw(tmp_path / name, 8, 9, 3)
    found = find_cases(tmp_path, protocol("real-pairs"))
    assert named(found) == [("a_clean.png", "a.jpg", 1.0), ("b_clean.png", "b.png", 1.0)]
    sample = read_sample(found[1], protocol("real-pairs"), 0)
    assert sample.scale == 1
    torch.testing.assert_close(sample.degraded * 255, draw(tmp_path / "b.png", 8, 9, 3).float())


def test_real_pairs_may_be_in_two_folders(tmp_path: Path) -> None:
    for name in ("clean/a.png", "clean/b.png", "noisy/a.jpg"):
        draw(tmp_path / name, 8, 9, 3)
    found = find_cases(tmp_path / "clean", protocol("real-pairs"), low=str(tmp_path / "noisy"))
    assert named(found) == [("a.png", "a.jpg", 1.0)]


def test_what_is_no_real_pair_is_refused(tmp_path: Path) -> None:
    how = protocol("real-pairs")
    draw(tmp_path / "a.png", 8, 9, 3)
    with pytest.raises(ImageError, match=r"real-pairs expected pairs named \* and \*_clean, or a folder"):
        find_cases(tmp_path, how)
    draw(tmp_path / "a_clean.png", 9, 8, 3)
    (case,) = find_cases(tmp_path, how)
    with pytest.raises(ImageError, match=r"got a pair of 8x9 and 9x8 pixels, expected pictures of the same size"):
        read_sample(case, how, 0)
    with pytest.raises(SpecError, match=r"got scales, but real-pairs has pairs of the same size; leave them out"):
        find_cases(tmp_path, how, scales=[2])


def test_jpeg_takes_no_low_resolution(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 8, 9, 3)
    with pytest.raises(SpecError, match="got low resolution or scales, but jpeg compresses the originals"):
        find_cases(tmp_path, protocol("jpeg"), scales=[2])
