"""MATLAB's ``imresize`` with its default, the antialiased bicubic kernel: how this field makes low resolution."""

from __future__ import annotations

import math
from numbers import Integral

import torch
from torch import Tensor

from toolbox.errors import ImageError

SUPPORT = 4  # input pixels under the kernel where nothing shrinks


def imresize(
    image: Tensor, scale: float | tuple[float, float] | None = None, size: tuple[int, int] | None = None
) -> Tensor:
    """Resize (..., H, W) as MATLAB's ``imresize(image, scale)`` or ``imresize(image, [height width])`` does.

    The axis with the smaller scale goes first, rows when they are equal. On uint8 every value is
    MATLAB's: sums in double precision, rounded to uint8 (halves up) after each of the two passes, so
    also between them. Floats are not rounded, may overshoot, and have a gradient.

    Args:
        image: uint8 or any float type.
        scale: output over input size, one number or (vertical, horizontal); the output has
            ceil(scale × size) pixels, and the grid keeps the scale, not the ratio of the sizes.
        size: output (height, width).

    Raises:
        ImageError: both or neither of scale and size were given, one is not positive, or the image is
            of another type or empty.

    Source: Keys, Cubic Convolution Interpolation for Digital Image Processing, IEEE TASSP 1981
    (a = −1/2); the kernel is widened by 1/scale where an axis shrinks. Pixels beyond the border repeat
    the outermost one, as for uint8 in MATLAB; newer releases of it mirror floats there.
    """
    if not (image.dtype == torch.uint8 or image.is_floating_point()) or image.ndim < 2 or image.numel() == 0:
        raise ImageError(f"got {image.dtype} of shape {tuple(image.shape)}, expected uint8 or floats (..., H, W)")
    if (scale is None) == (size is None):
        raise ImageError(f"got scale {scale} and size {size}, expected one of them")
    height, width = image.shape[-2:]
    if size is not None:
        outputs, scales = size, (size[0] / height, size[1] / width)
    else:
        scales = scale if isinstance(scale, tuple) else (scale or 0.0, scale or 0.0)
        if not all(0 < each < math.inf for each in scales):
            raise ImageError(f"got scale {scale}, expected positive numbers")
        outputs = (math.ceil(scales[0] * height), math.ceil(scales[1] * width))
    if not all(isinstance(each, Integral) and each > 0 for each in outputs):
        raise ImageError(f"got size {size}, expected two positive whole numbers, (height, width)")
    for axis in sorted((-2, -1), key=lambda axis: scales[axis]):
        image = _resize_axis(image, axis, outputs[axis], scales[axis])
    return image


def _resize_axis(image: Tensor, axis: int, output: int, scale: float) -> Tensor:
    """One pass; summed tap by tap, so that the order of the sum is the same everywhere."""
    rounds = image.dtype == torch.uint8
    values = image.double() if rounds else image
    weights, indices = _taps(image.shape[axis], output, scale)
    weights, indices = weights.to(values), indices.to(values.device)
    if axis == -2:
        weights = weights[..., None]
    total = torch.zeros((), dtype=values.dtype, device=values.device)
    for weight, index in zip(weights, indices, strict=True):
        total = total + values.index_select(axis, index) * weight
    return (total + 0.5).floor().clamp(0, 255).to(torch.uint8) if rounds else total


def _taps(length: int, output: int, scale: float) -> tuple[Tensor, Tensor]:
    """For each tap and output pixel the weight (float64) and the input pixel, both (taps, output)."""
    widening = min(scale, 1.0)
    support = SUPPORT / widening
    center = torch.arange(1, output + 1, dtype=torch.float64) / scale + 0.5 * (1 - 1 / scale)  # from 1, as in MATLAB
    first = (center - support / 2).floor()
    pixels = first + torch.arange(math.ceil(support) + 2, dtype=torch.float64)[:, None]
    weights = widening * _cubic(widening * (center - pixels))
    weights = weights / sum(weights)  # tap by tap as well
    used = weights.any(1)
    return weights[used], pixels[used].long().clamp(1, length) - 1


def _cubic(x: Tensor) -> Tensor:
    """Keys's kernel, a = −1/2."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return near * (x <= 1) + far * ((x > 1) & (x <= 2))
