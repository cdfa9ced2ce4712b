"""The main job: a picture goes in, a better one comes out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from toolbox.decoders.bicubic import resize
from toolbox.errors import ImageError
from toolbox.images.alpha import without_hidden_colors
from toolbox.images.formats import check_writable
from toolbox.images.geometry import Geometry, Scale
from toolbox.images.metadata import Metadata
from toolbox.images.picture import page_of, read_picture, with_info_of, write_array
from toolbox.images.plan import Plan, decoded_size, make_plan
from toolbox.images.tiling import Tiling, encode_in_tiles, exact_tiling
from toolbox.restorer import Restorer

DENOISER = "nlrn-lite"  # the model when no size is asked for
ENLARGER = "diinn-lite"  # the model when one is

Progress = Callable[[int, int], None]  # steps done, steps in all


class More(TypedDict, total=False):
    """What ``restore`` takes by name only."""

    output: str | Path | None
    max_memory: float | str | None
    halo: int | None
    progress: Progress | None


class MoreInMemory(TypedDict, total=False):
    """The same, without an output."""

    max_memory: float | str | None
    halo: int | None
    progress: Progress | None


InMemory = TypeVar("InMemory", np.ndarray[Any, Any], Image.Image, Tensor)
AnyPath = TypeVar("AnyPath", str, Path)
Model = str | Path | Restorer | None
Size = tuple[int, int]


@overload
def restore(
    image: InMemory, model: Model = None, scale: Scale | None = None, size: Size | None = None, **more: Unpack[More]
) -> InMemory: ...
@overload
def restore(
    image: AnyPath,
    model: Model = None,
    scale: Scale | None = None,
    size: Size | None = None,
    *,
    output: str | Path,
    **more: Unpack[MoreInMemory],
) -> AnyPath: ...
@overload
def restore(
    image: str | Path,
    model: Model = None,
    scale: Scale | None = None,
    size: Size | None = None,
    **more: Unpack[MoreInMemory],
) -> Image.Image: ...
def restore(
    image: Any,
    model: Model = None,
    scale: Scale | None = None,
    size: Size | None = None,
    *,
    output: str | Path | None = None,
    max_memory: float | str | None = None,
    halo: int | None = None,
    progress: Progress | None = None,
) -> Any:
    """Restore one picture: remove its noise, or enlarge or reduce it when a size is asked for.

    The result is of the kind, type and number of axes of ``image``:

    - A NumPy array, (H, W) or (H, W, C): uint8 from 0 to 255, uint16 from 0 to 65535, or any float from 0 to 1, of
      which what lies beyond is clipped.
    - A torch tensor, (H, W), (C, H, W) or (B, C, H, W): the same types and ranges; the result is on the same device.
    - A PIL image: L, LA, RGB, RGBA and I;16 (16 bits of gray) stay what they are, 1 becomes L, all others RGB or RGBA,
      CMYK by its ICC profile. What Pillow keeps beside the pixels stays, also an orientation, which is not applied.
    - A path, with an ``output``: any picture file, at its 8 or 16 bits per channel, upright, with EXIF, XMP, DPI and
      ICC profile, page by page. The output's path comes back, as text for text.
    - A path, without: its first page, upright, as a PIL image, which holds 16 bits only of gray.

    Integers are computed as fractions of the largest one and rounded, halves to even. One to four channels are gray,
    gray with alpha, RGB and RGB with alpha.

    Args:
        image: see above; nothing of it is changed.
        model: a name that ships with weights, a weights file, or a restorer; by default
            ``nlrn-lite`` without a size, ``diinn-lite`` with one.
        scale: output over input size, one number or (vertical, horizontal).
        size: output (height, width).
        output: a file to write the result to; its suffix says the format. Arrays of uint16 and float
            become 16 bits per channel where the format has them.
        max_memory: bytes that the process may take in all, or text such as ``"2GB"``: the picture is
            then cut into tiles that fit. Where no exact ones do, they are approximate, with a warning.
        halo: pixels around a tile, where they may be fewer than the network's receptive field; the
            tiles are then approximate.
        progress: called with the steps done and the steps in all.

    Returns:
        The restored picture, as above. A gray model restores each color channel by itself; a color
        model sees a gray picture as equal channels. Alpha is resized bicubically, on the same grid as
        the colors; colors beneath full transparency do not count.

    Raises:
        ImageError: the picture cannot be read, restored in the memory there is, or written.
        SpecError: the model does not do that size.
        WeightsError, UnknownComponent: the model cannot be loaded.
    """
    if output is not None:
        check_writable(Path(output))
    if not isinstance(image, (str, Path, Image.Image, np.ndarray, Tensor)):
        raise ImageError(f"got a {type(image).__name__}, expected a path, a PIL image, an array or a tensor")
    restorer = pick_model(model, enlarges=scale is not None or size is not None)
    if isinstance(image, (str, Path)) and output is not None:
        from toolbox.images.restore_file import Settings, restore_file

        if Path(output).resolve() == Path(image).resolve():
            raise ImageError(f"{output}: is the input itself; give another name")
        settings = Settings(restorer, _name(model, restorer), Geometry(scale, size), max_memory, halo)
        restore_file(Path(image), Path(output), settings, progress)
        return type(image)(output)
    if isinstance(image, Tensor):
        result: Any = _restore_batch(restorer, image, scale, size, max_memory, halo, progress)
        array, metadata = (to_array(result) if output is not None else None), Metadata()
    else:
        picture = read_picture(Path(image)) if isinstance(image, (str, Path)) else image
        before: Any = picture
        metadata = Metadata()
        if isinstance(picture, Image.Image):
            page = page_of(picture)
            before, metadata = page.pixels, page.metadata
        plan = plan_for(restorer, before, scale, size, max_memory, halo)
        array = restore_planned(restorer, before, plan, progress)
        result = with_info_of(picture, to_image(array), metadata.icc) if isinstance(picture, Image.Image) else array
    if output is not None and array is not None:
        write_array(array, Path(output), metadata)
    return result


def _name(model: Model, restorer: Restorer) -> str:
    return str(model) if isinstance(model, (str, Path)) else restorer.spec.summary or "the network"


def _restore_batch(
    restorer: Restorer,
    image: Tensor,
    scale: Scale | None,
    size: Size | None,
    max_memory: float | str | None,
    halo: int | None,
    progress: Progress | None,
) -> Tensor:
    """A tensor (H, W), (C, H, W) or (B, C, H, W); one picture after the other."""
    shape, integer = tuple(image.shape), image.dtype in (torch.uint8, torch.uint16)
    if not 2 <= image.ndim <= 4 or 0 in shape or (image.ndim > 2 and shape[-3] > 4):
        raise ImageError(f"got a tensor of shape {shape}, expected (H, W), (C, H, W) or (B, C, H, W), 1 to 4 channels")
    if not integer and not image.is_floating_point():
        raise ImageError(f"got a tensor of {image.dtype}, expected uint8, uint16 or float in [0, 1]")
    white = torch.iinfo(image.dtype).max if integer else 1
    channels = shape[-3] if image.ndim > 2 else 1
    restored = []
    for each in image.detach().reshape(-1, 1, channels, *shape[-2:]):
        values = each.float() / white if integer else each
        if not values.isfinite().all():
            raise ImageError("got a tensor with values that are not finite, expected them in [0, 1]")
        plan = _plan(restorer, (channels, shape[-2], shape[-1]), scale, size, max_memory, halo)
        result = restore_tensor(restorer, values, size=plan.size, progress=progress, tiling=plan.tiling)
        restored.append((result * white).round_().to(image.dtype) if integer else result.to(image.dtype))
    batch = torch.cat(restored) if restored else image
    return batch.reshape(*shape[:-2], *batch.shape[-2:])


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
    shape = (channels, height, width)
    return _plan(restorer, shape, scale, size, max_memory, halo, estimate_small=estimate_small)


def _plan(
    restorer: Restorer,
    shape: tuple[int, int, int],
    scale: Scale | None,
    size: Size | None,
    max_memory: float | str | None,
    halo: int | None,
    *,
    estimate_small: bool = False,
) -> Plan:
    channels, height, width = shape
    target = restorer.output_size(height, width, size, scale)
    colors = (channels - (channels in (2, 4)), height, width)
    plan = make_plan(restorer, colors, target, max_memory, halo, estimate_small=estimate_small)
    warn_if_approximate(restorer, plan, max_memory, halo)
    return plan


def warn_if_approximate(
    restorer: Restorer, plan: Plan, max_memory: float | str | None, halo: int | None, name: str = ""
) -> None:
    """Warn where the memory makes tiles approximate although nobody asked for a smaller halo."""
    if not plan.exact and halo is None:
        field = restorer.spec.encoder.config.receptive_field()
        warnings.warn(
            f"{name}approximate: tiles with a halo of {plan.tiling.halo} px, as tiles with all of the {field} px that "
            f"the network sees do not fit into {max_memory}",
            stacklevel=4,
        )


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
    decoded = decoded_size(restorer, (channels, height, width), target)
    tiling = tiling or exact_tiling(restorer.spec.encoder.config)
    if alpha is not None:
        colors = without_hidden_colors(colors, alpha)
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
                features = encode_in_tiles(restorer, part, tiling, step)
                restored.append(resize(restorer.decode(features, part, decoded), target))
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


def _white(array: np.ndarray[Any, Any]) -> int:
    return int(np.iinfo(array.dtype).max) if np.issubdtype(array.dtype, np.integer) else 1
