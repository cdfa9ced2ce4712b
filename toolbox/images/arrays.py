"""Convert pictures in memory between NumPy arrays, torch tensors and PIL images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from toolbox.errors import ImageError
from toolbox.pixels import eight_bits


def check_array(array: np.ndarray[Any, Any]) -> None:
    """Refuse an array that is no picture.

    Raises:
        ImageError: the array has a wrong shape or type, or no pixel.
    """
    if not isinstance(array, np.ndarray):
        raise ImageError(f"got a {type(array).__name__}, expected a path, a PIL image or an array")
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ImageError(f"got an array of shape {array.shape}, expected (H, W) or (H, W, C)")
    if array.dtype not in (np.uint8, np.uint16) and not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"got an array of {array.dtype}, expected uint8, uint16 or float in [0, 1]")


def to_tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """(H, W) or (H, W, C), uint8, uint16 or float in [0, 1] → (1, C, H, W), float32.

    Raises:
        ImageError: the array has a wrong shape or type, or no pixel.
    """
    check_array(array)
    values = array.astype(np.float32) / white_of(array)
    if not np.isfinite(values).all():
        raise ImageError("got an array with values that are not finite, expected them in [0, 1]")
    return torch.from_numpy(values.reshape(*array.shape[:2], -1)).permute(2, 0, 1)[None]


def from_tensor(image: Tensor, like: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(1, C, H, W) in [0, 1] → an array of the type and number of axes of ``like``; halves to even."""
    values = image[0].permute(1, 2, 0)
    if like.ndim == 2:
        values = values[:, :, 0]
    if not np.issubdtype(like.dtype, np.integer):
        return values.cpu().numpy().astype(like.dtype)
    result = np.empty(values.shape, like.dtype)
    for target, row in zip(result, values, strict=True):  # row by row, because a picture may be large
        target[...] = (row * white_of(like)).round_().cpu().numpy()
    return result


def strips_of(parts: Iterator[Tensor], like: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    """Parts (1, C, some rows, W) of a picture as ``from_tensor`` converts them."""
    return (from_tensor(part, like) for part in parts)


def rows_to_array(parts: Iterator[Tensor], size: tuple[int, int], like: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Join parts (1, C, some rows, W) from top to bottom, as ``from_tensor`` converts them."""
    result = np.empty((*size, *like.shape[2:]), like.dtype)
    top = 0
    for strip in strips_of(parts, like):
        result[top : top + len(strip)] = strip
        top += len(strip)
    return result


def with_channels(array: np.ndarray[Any, Any], channels: int) -> np.ndarray[Any, Any]:
    """Convert an array (H, W) or (H, W, C) to (H, W, channels) of the same type.

    Colors become Pillow's luma, gray becomes equal colors, and alpha is dropped.

    Raises:
        ImageError: the conversion is impossible.
    """
    array = array[:, :, None] if array.ndim == 2 else array
    if array.shape[2] in (2, 4) and array.shape[2] != channels:
        array = array[:, :, :-1]
    given = array.shape[2]
    if given == channels:
        return array
    if given == 3 and channels == 1:
        return _luma(array)[:, :, None]
    if given == 1:
        return array.repeat(channels, 2)
    raise ImageError(f"got a picture of {given} channels, expected {channels}")


def _luma(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if array.dtype == np.uint8:
        return np.asarray(Image.fromarray(array).convert("L"))
    values = array @ np.array([0.299, 0.587, 0.114])
    return (values.round() if np.issubdtype(array.dtype, np.integer) else values).astype(array.dtype)


def to_image(array: np.ndarray[Any, Any]) -> Image.Image:
    """An array as a PIL image, with 16 bits for gray of 16 bits and else 8."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return Image.fromarray(array if array.dtype == np.uint16 and array.ndim == 2 else eight_bits(array))


def image_in_8_bits(image: Image.Image) -> Image.Image:
    """The image with 16 bits of gray scaled to 8; Pillow's own conversion would clip them."""
    return Image.fromarray(eight_bits(np.asarray(image))) if image.mode == "I;16" else image


def to_array(image: Tensor) -> np.ndarray[Any, Any]:
    """A tensor (H, W), (C, H, W) or (1, C, H, W) as an array (H, W) or (H, W, C)."""
    if image.ndim == 4 and len(image) > 1:
        raise ImageError(f"got {len(image)} pictures and one output, expected one picture")
    values = image.detach().cpu()
    values = values[0] if values.ndim == 4 else values
    array: np.ndarray[Any, Any] = (values if values.ndim == 2 else values.permute(1, 2, 0)).float().numpy()
    return (
        array.astype(np.uint8 if image.dtype == torch.uint8 else np.uint16) if not image.is_floating_point() else array
    )


def white_of(array: np.ndarray[Any, Any]) -> int:
    """The value of white: the largest integer, or 1."""
    return int(np.iinfo(array.dtype).max) if np.issubdtype(array.dtype, np.integer) else 1
