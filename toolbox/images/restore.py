"""The public call ``restore``: a picture goes in, a better one comes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from toolbox.errors import ImageError
from toolbox.images.arrays import check_array, to_array, to_image
from toolbox.images.engine.chain import (
    ChainPlan,
    chain_sizes,
    check_request,
    plan_chain,
    run_chain,
    run_chain_on_tensor,
    warn_if_any_approximate,
)
from toolbox.images.engine.plan import Storage
from toolbox.images.engine.request import Geometry, Request, Scale
from toolbox.images.engine.run import Progress, has_alpha
from toolbox.images.files.formats import check_writable
from toolbox.images.files.metadata import Metadata
from toolbox.images.files.picture import page_of, read_picture, with_info_of, write_array
from toolbox.images.inspection.inspect import inspect
from toolbox.images.models import ChosenNetworks, named_networks, sigma_alone
from toolbox.images.restore_file import Networks, Settings, restore_file
from toolbox.restorer import Restorer
from toolbox.weights.find import load

InMemory = TypeVar("InMemory", np.ndarray[Any, Any], Image.Image, Tensor)
AnyPath = TypeVar("AnyPath", str, Path)
Model = str | Path | Restorer | Sequence[str | Path | Restorer] | None
Size = tuple[int, int]
ConditionValue = float | np.ndarray[Any, Any] | Tensor  # a number, or a map (H, W)


@overload
def restore(
    image: InMemory,
    model: Model = None,
    scale: Scale | None = None,
    size: Size | None = None,
    *,
    output: str | Path | None = None,
    strength: float = 1.0,
    max_memory: float | str | None = None,
    halo: int | None = None,
    progress: Progress | None = None,
    **conditions: ConditionValue,
) -> InMemory: ...
@overload
def restore(
    image: AnyPath,
    model: Model = None,
    scale: Scale | None = None,
    size: Size | None = None,
    *,
    output: str | Path,
    strength: float = 1.0,
    max_memory: float | str | None = None,
    halo: int | None = None,
    progress: Progress | None = None,
    **conditions: ConditionValue,
) -> AnyPath: ...
@overload
def restore(
    image: str | Path,
    model: Model = None,
    scale: Scale | None = None,
    size: Size | None = None,
    *,
    output: None = None,
    strength: float = 1.0,
    max_memory: float | str | None = None,
    halo: int | None = None,
    progress: Progress | None = None,
    **conditions: ConditionValue,
) -> Image.Image: ...
def restore(
    image: Any,
    model: Model = None,
    scale: Scale | None = None,
    size: Size | None = None,
    *,
    output: str | Path | None = None,
    strength: float = 1.0,
    max_memory: float | str | None = None,
    halo: int | None = None,
    progress: Progress | None = None,
    **conditions: Any,
) -> Any:
    """Restore one picture: remove its noise, or enlarge or reduce it when you give a size.

    The result has the kind, type and number of axes of ``image``:

    - A NumPy array, (H, W) or (H, W, C): uint8 from 0 to 255, uint16 from 0 to 65535, or any float from 0 to 1.
      Other floats are clipped.
    - A torch tensor, (H, W), (C, H, W) or (B, C, H, W): the same types and ranges. The result is on the same device.
    - A PIL image: L, LA, RGB, RGBA and I;16 (16 bits of gray) keep their mode, 1 becomes L, all others RGB or RGBA,
      CMYK by its ICC profile. The image keeps its other data, including an orientation, which is not applied.
    - A path with an ``output``: any picture file, with its 8 or 16 bits per channel, upright, with EXIF, XMP, DPI and
      ICC profile, page by page. The call returns the path of the output, as text if you gave text.
    - A path without an ``output``: the first page, upright, as a PIL image, which holds 16 bits only for gray.

    Integers count as fractions of the largest integer, and the result is rounded, halves to even. One to four channels
    are gray, gray with alpha, RGB, and RGB with alpha, unless the model itself has that many channels: then all belong
    to the model. A model with more channels, such as the bands of a spectrum, takes arrays, tensors and TIFF files.

    Args:
        image: see above; it is not changed.
        model: a name that ships with weights, a weights file, ``hf://user/repo`` on the Hugging Face Hub, an ONNX
            file of ``toolbox export``, a restorer, or a list of them to run in a row. By default Toolbox looks at the
            picture, as ``toolbox.inspect`` does: ``photo`` cleans one with noise or JPEG artifacts, ``diinn-lite``
            gives another size, and a clean picture of the same size stays as it is.
        scale: output over input size, one number or (vertical, horizontal).
        size: output (height, width).
        output: a file for the result; its suffix decides the format. Arrays of uint16 and float become
            16 bits per channel if the format has them.
        strength: share of the restored picture in the result, from 0 to 1. The rest is the picture itself, resized
            bicubically.
        max_memory: bytes for the whole process, or text such as ``"2GB"``. The picture is then cut into
            tiles that fit. If no exact ones do, the tiles are approximate, with a warning.
        halo: pixels around a tile. With fewer than the network's receptive field the tiles are
            approximate.
        progress: called with the steps done and the steps in all.
        conditions: the conditions of the model's spec, such as ``sigma=25``: a number, or a map (H, W) with
            one for each pixel. Without a model, ``sigma`` takes the place of the estimated noise.

    Returns:
        The restored picture, as above. A gray model restores each color channel by itself. A color
        model sees a gray picture as equal channels. Alpha is resized bicubically, on the same grid as
        the colors. Colors under full transparency do not count.

    Raises:
        ImageError: the picture cannot be read, restored in the available memory, or written.
        SpecError: the model does not do that size, or a condition is missing or unknown.
        WeightsError, UnknownComponent: the model cannot be loaded.
    """
    if output is not None:
        check_writable(Path(output))
    if not isinstance(image, (str, Path, Image.Image, np.ndarray, Tensor)):
        raise ImageError(f"got a {type(image).__name__}, expected a path, a PIL image, an array or a tensor")
    request = Request(Geometry(scale, size), max_memory, halo, conditions=conditions, strength=strength)
    pick = _pick(model, request)
    if isinstance(image, (str, Path)) and output is not None:
        return type(image)(_restore_path(Path(image), Path(output), Settings(pick, request), progress))
    if isinstance(image, Tensor):
        batch, bands = _restore_batch(pick, image, request, progress)
        if output is not None:
            write_array(to_array(batch), Path(output), Metadata(), bands=bands)
        return batch
    if isinstance(image, np.ndarray):
        networks = pick if isinstance(pick, Networks) else pick.choose(inspect(image))
        array = _restore_array(networks, image, request, progress)
        if output is not None:
            write_array(array, Path(output), Metadata(), bands=_are_bands(networks))
        return array
    picture = read_picture(Path(image)) if isinstance(image, (str, Path)) else image
    networks = pick if isinstance(pick, Networks) else pick.choose(inspect(image))
    page = page_of(picture)
    array = _restore_array(networks, page.pixels, request, progress)
    if output is not None:
        write_array(array, Path(output), page.metadata)
    return with_info_of(picture, to_image(array), page.metadata.icc)


def _pick(model: Model, request: Request) -> Networks | ChosenNetworks:
    """The named networks, or those to choose for each picture."""
    if model is None:
        check_request((), request)
        sigma = sigma_alone(request.conditions)
        return ChosenNetworks(load, resizes=request.geometry.given, sigma=sigma)
    names = [model] if isinstance(model, (str, Path, Restorer)) else model
    networks = named_networks(names, load)
    check_request(networks.restorers, request)
    return networks


def _are_bands(networks: Networks) -> bool:
    """Whether all channels are the model's own, and none is alpha."""
    return networks.channels not in (1, 3)


def _restore_path(path: Path, output: Path, settings: Settings, progress: Progress | None) -> Path:
    if output.resolve() == path.resolve():
        raise ImageError(f"{output} is the input itself; choose another name")
    restore_file(path, output, settings, progress)
    return output


def _restore_array(
    networks: Networks, array: np.ndarray[Any, Any], request: Request, progress: Progress | None
) -> np.ndarray[Any, Any]:
    check_array(array)
    if not networks.restorers:
        return array.copy()
    height, width, channels = (*array.shape, 1)[:3]
    colors = channels - _alpha(networks, channels)
    plan = _plan(networks, (colors, height, width), request, array.itemsize)
    warn_if_any_approximate(networks.restorers, plan, request)
    return run_chain(networks.restorers, array, plan, request, progress)


def _restore_batch(
    pick: Networks | ChosenNetworks, image: Tensor, request: Request, progress: Progress | None
) -> tuple[Tensor, bool]:
    """Restore a tensor (H, W), (C, H, W) or (B, C, H, W), one picture after the other; and whether it has bands."""
    shape, integer = tuple(image.shape), image.dtype in (torch.uint8, torch.uint16)
    if not 2 <= image.ndim <= 4 or 0 in shape:
        raise ImageError(f"got a tensor of shape {shape}, expected (H, W), (C, H, W) or (B, C, H, W)")
    if not integer and not image.is_floating_point():
        raise ImageError(f"got a tensor of {image.dtype}, expected uint8, uint16 or float in [0, 1]")
    white = torch.iinfo(image.dtype).max if integer else 1
    channels, bands = shape[-3] if image.ndim > 2 else 1, False
    restored = []
    for each in image.detach().reshape(-1, 1, channels, *shape[-2:]):
        values = each.float() / white if integer else each
        if not values.isfinite().all():
            raise ImageError("got a tensor with values that are not finite, expected them in [0, 1]")
        networks = pick if isinstance(pick, Networks) else pick.choose(inspect(each))
        if not networks.restorers:
            restored.append(each)
            continue
        colors = channels - _alpha(networks, channels)
        plan = _plan(networks, (colors, shape[-2], shape[-1]), request, 2 * values.itemsize)
        warn_if_any_approximate(networks.restorers, plan, request)
        result = run_chain_on_tensor(networks.restorers, values, plan, request, progress)
        restored.append((result * white).round_().to(image.dtype) if integer else result.to(image.dtype))
        bands = _are_bands(networks)
    batch = torch.cat(restored)
    return batch.reshape(*shape[:-2], *batch.shape[-2:]), bands


def _plan(networks: Networks, shape: tuple[int, int, int], request: Request, itemsize: int) -> ChainPlan:
    """The plan for a picture in memory, whose result takes so many bytes a value."""
    channels, height, width = shape
    size = chain_sizes(networks.restorers, request.geometry, height, width)[-1]
    storage = Storage(restoring=itemsize * channels * size[0] * size[1])
    return plan_chain(networks.restorers, shape, request, storage=storage)


def _alpha(networks: Networks, channels: int) -> bool:
    return has_alpha(channels, networks.restorers[0])
