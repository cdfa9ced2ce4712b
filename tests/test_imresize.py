"""MATLAB's resize against a plain loop over its definition, and against MATLAB's own pictures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from tests.shared import reference
from toolbox.errors import ImageError
from toolbox.imresize import imresize

Array = npt.NDArray[np.float64]
sides = st.integers(1, 13)
scales = st.sampled_from([1 / 4, 1 / 3, 0.4, 0.5, 0.73, 1.0, 1.5, 2.0, 3.3])


def cubic(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


def row(values: Array, output: int, scale: float) -> Array:
    """One row, pixel by pixel: the kernel is centered on where the output pixel falls."""
    widening = min(scale, 1)
    found = []
    for position in range(output):
        center = (position + 0.5) / scale - 0.5
        reach = 2 / widening + 1
        pixels = range(math.floor(center - reach), math.ceil(center + reach) + 1)
        weights = [cubic(widening * (center - pixel)) for pixel in pixels]
        inside = [values[min(max(pixel, 0), len(values) - 1)] for pixel in pixels]
        found.append(sum(w * v for w, v in zip(weights, inside, strict=True)) / sum(weights))
    return np.array(found)


def resized(image: Array, size: tuple[int, int], scale: tuple[float, float], *, eight_bits: bool) -> Array:
    """(H, W) resized; the smaller scale first, rows when both are equal."""
    for axis in (0, 1) if scale[0] <= scale[1] else (1, 0):
        image = np.apply_along_axis(row, axis, image, size[axis], scale[axis])
        if eight_bits:
            image = np.floor(image + 0.5).clip(0, 255)
    return image


def draw(*shape: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def differing(found: Tensor, expected: Array) -> int:
    return int((found.numpy() != expected).sum())


@given(height=sides, width=sides, vertical=scales, horizontal=scales)
def test_floats_are_the_sums_of_the_definition(height: int, width: int, vertical: float, horizontal: float) -> None:
    image = draw(height, width) / 255
    size = math.ceil(vertical * height), math.ceil(horizontal * width)
    expected = resized(image, size, (vertical, horizontal), eight_bits=False)
    found = imresize(torch.from_numpy(image)[None, None], scale=(vertical, horizontal))
    np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=1e-12)


@given(height=sides, width=sides, size=st.tuples(sides, sides), seed=st.integers(0, 9))
def test_eight_bits_are_rounded_after_each_pass(height: int, width: int, size: tuple[int, int], seed: int) -> None:
    image = draw(height, width, seed=seed)
    # The loop sums in another order, so a value that falls on a half may go either way.
    expected = resized(image.astype(float), size, (size[0] / height, size[1] / width), eight_bits=True)
    found = imresize(torch.from_numpy(image), size=size)
    assert found.dtype == torch.uint8
    assert differing(found, expected) <= 0.02 * expected.size + 1
    assert np.abs(found.numpy() - expected).max() <= 1


@pytest.mark.parametrize("shape", [(24, 36), (25, 38), (37, 31)])
@pytest.mark.parametrize("scale", [1 / 2, 1 / 3, 1 / 4])
def test_no_value_of_the_usual_scales_differs(shape: tuple[int, int], scale: float) -> None:
    image = draw(*shape)
    size = math.ceil(scale * shape[0]), math.ceil(scale * shape[1])
    expected = resized(image.astype(float), size, (scale, scale), eight_bits=True)
    assert differing(imresize(torch.from_numpy(image), scale=scale), expected) == 0


@pytest.mark.parametrize("scale", [(1 / 2, 1 / 4), (1 / 4, 1 / 2), (2.0, 1 / 2)])
def test_the_axis_with_the_smaller_scale_goes_first(scale: tuple[float, float]) -> None:
    image = draw(32, 32)
    size = int(scale[0] * 32), int(scale[1] * 32)
    expected = resized(image.astype(float), size, scale, eight_bits=True)
    assert differing(imresize(torch.from_numpy(image), scale=scale), expected) == 0
    turned = resized(image.T.astype(float), size[::-1], scale[::-1], eight_bits=True).T
    assert np.array_equal(turned, expected)  # so the order is not that of the axes


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_matlab_s_own_low_resolution_does_not_differ_in_one_value(scale: int) -> None:
    def read(path: Path) -> Tensor:
        with Image.open(path) as picture:
            return torch.from_numpy(np.asarray(picture.convert("RGB")).copy()).permute(2, 0, 1)

    originals = sorted(reference("data", "set5", f"x{scale}").glob("*_HR.png"))
    assert len(originals) == 5
    for path in originals:
        small = read(path.with_name(path.name.replace("_HR", "_LR")))
        assert torch.equal(imresize(read(path), scale=1 / scale), small)
        assert torch.equal(imresize(read(path), size=(small.shape[1], small.shape[2])), small)


def test_rounding_between_the_passes_shows() -> None:
    image = torch.from_numpy(draw(40, 40))
    at_once = (imresize(image.double(), scale=0.5) + 0.5).floor().clamp(0, 255)
    difference = (imresize(image, scale=0.5) - at_once).abs()
    assert 0 < (difference > 0).float().mean() < 0.5


def test_halves_go_up() -> None:
    image = torch.tensor([[0, 0, 1, 1]], dtype=torch.uint8)  # between 0 and 1 the sum is exactly a half
    assert imresize(image, size=(1, 1)).item() == 1


def test_a_scale_keeps_its_grid_where_the_size_does_not_divide() -> None:
    row = torch.arange(7.0, dtype=torch.float64)[None].expand(7, 7)
    by_scale, by_size = imresize(row, scale=0.5), imresize(row, size=(4, 4))
    assert by_scale.shape == by_size.shape == (4, 4)
    assert by_scale[0, 1].item() == pytest.approx(2.5, abs=0.02)  # output pixel 1 covers input pixels 2 and 3
    assert by_size[0, 1] < 2.3  # 7/4 input pixels each


@pytest.mark.parametrize("scale", [2.0, 0.6, (1.5, 0.5)])
def test_floats_have_a_gradient(scale: float | tuple[float, float]) -> None:
    image = torch.rand(1, 1, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: imresize(x, scale=scale), (image,))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.bfloat16])
def test_type_and_leading_axes_are_kept_and_the_same_size_is_exact(dtype: torch.dtype) -> None:
    image = torch.from_numpy(draw(2, 3, 5, 6)).to(dtype)
    assert imresize(image, size=(4, 9)).shape == (2, 3, 4, 9)
    assert imresize(image, size=(4, 9)).dtype == dtype
    assert torch.equal(imresize(image, scale=1), image)
    assert torch.equal(imresize(image, size=(4, 9))[1, 2], imresize(image[1, 2], size=(4, 9)))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({}, "got scale None and size None, expected one of them"),
        ({"scale": 2, "size": (2, 2)}, r"got scale 2 and size \(2, 2\), expected one of them"),
        ({"scale": 0}, "got scale 0, expected positive numbers"),
        ({"scale": math.nan}, "got scale nan, expected positive numbers"),
        ({"scale": (1.0, -1.0)}, r"got scale \(1.0, -1.0\), expected positive numbers"),
        ({"size": (0, 2)}, r"got size \(0, 2\), expected two positive whole numbers"),
        ({"size": (2.5, 2)}, r"got size \(2.5, 2\), expected two positive whole numbers"),
    ],
)
def test_what_is_no_size_is_refused(arguments: dict[str, object], complaint: str) -> None:
    with pytest.raises(ImageError, match=complaint):
        imresize(torch.zeros(3, 3), **arguments)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("image", [torch.zeros(3, 3, dtype=torch.int32), torch.zeros(3), torch.zeros(3, 0)])
def test_what_is_no_image_is_refused(image: Tensor) -> None:
    with pytest.raises(ImageError, match=r"expected uint8 or floats \(\.\.\., H, W\)"):
        imresize(image, scale=2)
