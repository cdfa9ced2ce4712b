"""The main job: a picture goes in, a better one comes out."""

from __future__ import annotations

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
from toolbox.images.tiling import count_tiles, encode_in_tiles
from toolbox.restorer import Restorer

DENOISER = "nlrn-lite"  # the model when no size is asked for
ENLARGER = "diinn-lite"  # the model when one is

Progress = Callable[[int, int], None]  # steps done, steps in all
Scale = float | tuple[float, float]


@overload
def restore(
    image: Image.Image,
    model: str | Path | Restorer | None = None,
    scale: Scale | None = None,
    size: tuple[int, int] | None = None,
    *,
    output: str | Path | None = None,
    progress: Progress | None = None,
) -> Image.Image: ...
@overload
def restore(
    image: np.ndarray[Any, Any],
    model: str | Path | Restorer | None = None,
    scale: Scale | None = None,
    size: tuple[int, int] | None = None,
    *,
    output: str | Path | None = None,
    progress: Progress | None = None,
) -> np.ndarray[Any, Any]: ...
@overload
def restore(
    image: str | Path,
    model: str | Path | Restorer | None = None,
    scale: Scale | None = None,
    size: tuple[int, int] | None = None,
    *,
    output: str | Path | None = None,
    progress: Progress | None = None,
) -> Image.Image: ...
def restore(
    image: str | Path | Image.Image | np.ndarray[Any, Any],
    model: str | Path | Restorer | None = None,
    scale: Scale | None = None,
    size: tuple[int, int] | None = None,
    *,
    output: str | Path | None = None,
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
        progress: called with the steps done and the steps in all.

    Returns:
        An array of the same type for an array, else a PIL image. A gray model restores each color
        channel by itself; a color model sees a gray picture as equal channels. Alpha is resized
        bicubically. The result is clipped to the range of its type.

    Raises:
        ImageError: the picture cannot be read, restored or written.
        SpecError: the model does not do that size.
        WeightsError, UnknownComponent: the model cannot be loaded.
    """
    if output is not None:
        check_writable(Path(output))
    picture = read_picture(Path(image)) if isinstance(image, (str, Path)) else image
    array = np.asarray(direct(picture)) if isinstance(picture, Image.Image) else picture
    restorer = pick_model(model, enlarges=scale is not None or size is not None)
    restored = from_tensor(restore_tensor(restorer, to_tensor(array), scale, size, progress), array)
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


def restore_tensor(
    restorer: Restorer,
    image: Tensor,
    scale: Scale | None = None,
    size: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Restore (1, C, H, W) in [0, 1] with 1 to 4 channels to (1, C, *size) in [0, 1]."""
    channels, (height, width) = image.shape[1], image.shape[2:]
    target = restorer.output_size(height, width, size, scale)
    colors, alpha = (image[:, :-1], image[:, -1:]) if channels in (2, 4) else (image, None)
    colors = colors.to(restorer.mean)  # the network's device and type
    if colors.shape[1] == restorer.channels:
        passes = [colors]
    elif restorer.channels == 1:
        passes = list(colors.split(1, 1))
    elif colors.shape[1] == 1:
        passes = [colors.expand(-1, restorer.channels, -1, -1)]
    else:
        raise ImageError(f"got a picture of {colors.shape[1]} channels, expected {restorer.channels} for this model")

    steps, done = len(passes) * (count_tiles(restorer, height, width) + 1), 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps)

    restored = []
    training = restorer.training
    restorer.eval()
    try:
        with torch.inference_mode():
            for part in passes:
                restored.append(restorer.decode(encode_in_tiles(restorer, part, step), part, target))
                step()
    finally:
        restorer.train(training)
    result = torch.cat(restored, 1).to(image)
    if result.shape[1] != colors.shape[1]:
        result = result.mean(1, keepdim=True)  # a color model's answer for a gray picture
    if not result.isfinite().all():
        raise ImageError(f"the network ({restorer.spec.summary or 'unnamed'}) gave values that are not finite")
    result = torch.cat((result, resize(alpha, target)), 1) if alpha is not None else result
    return result.clamp(0, 1)


def to_tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """(H, W) or (H, W, C), uint8, uint16 or float in [0, 1] → (1, C, H, W), float32.

    Raises:
        ImageError: the array has another shape or type, or no pixel.
    """
    if not isinstance(array, np.ndarray):
        raise ImageError(f"got a {type(array).__name__}, expected a path, a PIL image or an array")
    if array.ndim not in (2, 3) or (array.ndim == 3 and not 1 <= array.shape[2] <= 4) or 0 in array.shape:
        raise ImageError(f"got an array of shape {array.shape}, expected (H, W) or (H, W, C) with 1 to 4 channels")
    if array.dtype not in (np.uint8, np.uint16) and not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"got an array of {array.dtype}, expected uint8, uint16 or float in [0, 1]")
    values = array.astype(np.float32) / _white(array)
    if not np.isfinite(values).all():
        raise ImageError("got an array with values that are not finite, expected them in [0, 1]")
    return torch.from_numpy(values.reshape(*array.shape[:2], -1)).permute(2, 0, 1)[None]


def from_tensor(image: Tensor, like: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(1, C, H, W) in [0, 1] → an array of the type and number of axes of ``like``; halves to even."""
    values = image[0].permute(1, 2, 0).cpu().numpy()
    if like.ndim == 2:
        values = values[:, :, 0]
    scaled = values * _white(like)
    return (scaled.round() if np.issubdtype(like.dtype, np.integer) else scaled).astype(like.dtype)


def to_image(array: np.ndarray[Any, Any]) -> Image.Image:
    """An array as a PIL image: 16 bits only for gray, everything else 8."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype != np.uint8 and not (array.dtype == np.uint16 and array.ndim == 2):
        array = np.round(array.astype(np.float32) * (255 / _white(array))).clip(0, 255).astype(np.uint8)
    return Image.fromarray(array)


def _white(array: np.ndarray[Any, Any]) -> int:
    return int(np.iinfo(array.dtype).max) if np.issubdtype(array.dtype, np.integer) else 1
