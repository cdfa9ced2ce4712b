"""The main job: a picture goes in, a better one comes out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from toolbox.decoders.bicubic import resize
from toolbox.errors import ImageError
from toolbox.images.picture import check_writable, direct, read_picture, write_picture
from toolbox.images.plan import Plan, make_plan
from toolbox.images.tiling import Tiling, encode_in_tiles, exact_tiling
from toolbox.restorer import Restorer

DENOISER = "nlrn-lite"  # the model when no size is asked for
ENLARGER = "diinn-lite"  # the model when one is

Progress = Callable[[int, int], None]  # steps done, steps in all
Scale = float | tuple[float, float]


@overload
def restore(
    image: np.ndarray[Any, Any],
    model: str | Path | Restorer | None = None,
    scale: Scale | None = None,
    size: tuple[int, int] | None = None,
    *,
    output: str | Path | None = None,
    max_memory: float | str | None = None,
    halo: int | None = None,
    progress: Progress | None = None,
) -> np.ndarray[Any, Any]: ...
@overload
def restore(
    image: str | Path | Image.Image,
    model: str | Path | Restorer | None = None,
    scale: Scale | None = None,
    size: tuple[int, int] | None = None,
    *,
    output: str | Path | None = None,
    max_memory: float | str | None = None,
    halo: int | None = None,
    progress: Progress | None = None,
) -> Image.Image: ...
def restore(
    image: str | Path | Image.Image | np.ndarray[Any, Any],
    model: str | Path | Restorer | None = None,
    scale: Scale | None = None,
    size: tuple[int, int] | None = None,
    *,
    output: str | Path | None = None,
    max_memory: float | str | None = None,
    halo: int | None = None,
    progress: Progress | None = None,
) -> Image.Image | np.ndarray[Any, Any]:
    """Restore one picture: remove its noise, or enlarge it when a size is asked for.

    Args:
        image: a path, a PIL image, or an array (H, W) or (H, W, C) with 1 to 4 channels, the second
            and fourth being alpha: uint8, uint16, or float in [0, 1].
        model: a name that ships with weights, a weights file, or a restorer; by default
            ``nlrn-lite`` without a size, ``diinn-lite`` with one.
        scale: output over input size, one number or (vertical, horizontal).
        size: output (height, width).
        output: a file to write the result to as well; its suffix says the format.
        max_memory: bytes that the process may take in all, or text such as ``"2GB"``: the picture is
            then cut into tiles that fit. Where no exact ones do, they are approximate, with a warning.
        halo: pixels around a tile, where they may be fewer than the network's receptive field; the
            tiles are then approximate.
        progress: called with the steps done and the steps in all.

    Returns:
        An array of the same type for an array, else a PIL image. A gray model restores each color
        channel by itself; a color model sees a gray picture as equal channels. Alpha is resized
        bicubically. The result is clipped to the range of its type.

    Raises:
        ImageError: the picture cannot be read, restored in the memory there is, or written.
        SpecError: the model does not do that size.
        WeightsError, UnknownComponent: the model cannot be loaded.
    """
    if output is not None:
        check_writable(Path(output))
    picture = read_picture(Path(image)) if isinstance(image, (str, Path)) else image
    array = as_array(picture) if isinstance(picture, Image.Image) else picture
    restorer = pick_model(model, enlarges=scale is not None or size is not None)
    restored = restore_planned(restorer, array, plan_for(restorer, array, scale, size, max_memory, halo), progress)
    if isinstance(picture, Image.Image) or output is not None:
        result = to_image(restored)
        if output is not None:
            write_picture(result, Path(output))
        return result if isinstance(picture, Image.Image) else restored
    return restored


def pick_model(model: str | Path | Restorer | None, enlarges: bool) -> Restorer:
    """The restorer itself, the one of a weights file or name, or the default for the task."""
    if isinstance(model, Restorer):
        return model
    from toolbox.weights.file import load

    return load(model or (ENLARGER if enlarges else DENOISER))


def plan_for(
    restorer: Restorer,
    array: np.ndarray[Any, Any],
    scale: Scale | None = None,
    size: tuple[int, int] | None = None,
    max_memory: float | str | None = None,
    halo: int | None = None,
    *,
    estimate_small: bool = False,
) -> Plan:
    """How an array (H, W) or (H, W, C) will be restored; see ``make_plan``.

    Where the memory makes the tiles approximate, although nobody asked for a smaller halo, there is a warning.
    """
    check_array(array)
    height, width, channels = (*array.shape, 1)[:3]
    target = restorer.output_size(height, width, size, scale)
    shape = (channels - (channels in (2, 4)), height, width)
    plan = make_plan(restorer, shape, target, max_memory, halo, estimate_small=estimate_small)
    if not plan.exact and halo is None:
        field = restorer.spec.encoder.config.receptive_field()
        warnings.warn(
            f"approximate: tiles with a halo of {plan.tiling.halo} px, as tiles with all of the {field} px that the "
            f"network sees do not fit into {max_memory}",
            stacklevel=3,
        )
    return plan


def restore_planned(
    restorer: Restorer, array: np.ndarray[Any, Any], plan: Plan, progress: Progress | None = None
) -> np.ndarray[Any, Any]:
    """Restore an array as planned; the result has the same type."""
    restored = restore_tensor(restorer, to_tensor(array), size=plan.size, progress=progress, tiling=plan.tiling)
    return from_tensor(restored, array)


def restore_tensor(
    restorer: Restorer,
    image: Tensor,
    scale: Scale | None = None,
    size: tuple[int, int] | None = None,
    progress: Progress | None = None,
    tiling: Tiling | None = None,
) -> Tensor:
    """Restore (1, C, H, W) in [0, 1] with 1 to 4 channels to (1, C, *size) in [0, 1]."""
    channels, (height, width) = image.shape[1], image.shape[2:]
    target = restorer.output_size(height, width, size, scale)
    colors, alpha = (image[:, :-1], image[:, -1:]) if channels in (2, 4) else (image, None)
    tiling = tiling or exact_tiling(restorer.spec.encoder.config)
    colors = colors.to(restorer.mean)  # the network's device and type
    if colors.shape[1] == restorer.channels:
        passes = [colors]
    elif restorer.channels == 1:
        passes = list(colors.split(1, 1))
    elif colors.shape[1] == 1:
        passes = [colors.expand(-1, restorer.channels, -1, -1)]
    else:
        raise ImageError(f"got a picture of {colors.shape[1]} channels, expected {restorer.channels} for this model")

    steps, done = len(passes) * (tiling.count(height, width) + 1), 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps)

    restored = []
    training = restorer.training
    restorer.eval()
    try:
        with torch.no_grad():
            for part in passes:
                restored.append(restorer.decode(encode_in_tiles(restorer, part, tiling, step), part, target))
                step()
    finally:
        restorer.train(training)
    result = torch.cat(restored, 1) if len(restored) > 1 else restored[0]
    if result.shape[1] != colors.shape[1]:
        result = result.mean(1, keepdim=True)  # a color model's answer for a gray picture
    if not all(extreme.isfinite() for extreme in result.aminmax()):  # of which a NaN is one, too
        raise ImageError(f"the network ({restorer.spec.summary or 'unnamed'}) gave values that are not finite")
    result = result.to(image).clamp_(0, 1)
    return torch.cat((result, resize(alpha, target).clamp_(0, 1)), 1) if alpha is not None else result


def as_array(picture: Image.Image) -> np.ndarray[Any, Any]:
    """A PIL image as (H, W) or (H, W, C), uint8 or uint16."""
    return np.asarray(direct(picture))


def check_array(array: np.ndarray[Any, Any]) -> None:
    """Refuse what is no picture.

    Raises:
        ImageError: the array has another shape or type, or no pixel.
    """
    if not isinstance(array, np.ndarray):
        raise ImageError(f"got a {type(array).__name__}, expected a path, a PIL image or an array")
    if array.ndim not in (2, 3) or (array.ndim == 3 and not 1 <= array.shape[2] <= 4) or 0 in array.shape:
        raise ImageError(f"got an array of shape {array.shape}, expected (H, W) or (H, W, C) with 1 to 4 channels")
    if array.dtype not in (np.uint8, np.uint16) and not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"got an array of {array.dtype}, expected uint8, uint16 or float in [0, 1]")


def to_tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """(H, W) or (H, W, C), uint8, uint16 or float in [0, 1] → (1, C, H, W), float32.

    Raises:
        ImageError: the array has another shape or type, or no pixel.
    """
    check_array(array)
    values = array.astype(np.float32) / _white(array)
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
    for target, row in zip(result, values, strict=True):  # row by row, as a picture may be large
        target[...] = (row * _white(like)).round_().cpu().numpy()
    return result


def to_image(array: np.ndarray[Any, Any]) -> Image.Image:
    """An array as a PIL image: 16 bits only for gray, everything else 8."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype != np.uint8 and not (array.dtype == np.uint16 and array.ndim == 2):
        array = np.round(array.astype(np.float32) * (255 / _white(array))).clip(0, 255).astype(np.uint8)
    return Image.fromarray(array)


def _white(array: np.ndarray[Any, Any]) -> int:
    return int(np.iinfo(array.dtype).max) if np.issubdtype(array.dtype, np.integer) else 1
