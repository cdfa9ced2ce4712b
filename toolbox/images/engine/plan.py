"""Plan how to restore a picture in the available memory, before any work starts.

The encoder runs over the picture in tiles, one row of tiles after the other, and the plan makes them smaller until they
fit. Most decoders need few rows of features at a time, so the memory does not grow with the height of the picture.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import psutil
import torch
from pydantic import ByteSize, TypeAdapter, ValidationError

from toolbox.cost import Cost, cost
from toolbox.errors import ImageError
from toolbox.images.engine.decoding import Slab, slabs_of
from toolbox.images.engine.reach import reach_of
from toolbox.images.engine.request import Request
from toolbox.images.engine.tiling import Tiling
from toolbox.padding import alignment_of
from toolbox.resize import resize
from toolbox.restorer import Restorer

NEAR, FAR = 64, 104  # measured sides; beyond them, cost is linear in rows and in columns
DECODED = 24_576  # measured pixels of features for the decoder: three of its bands, one of them inside
SMALL_PICTURE = 2**19  # pixels of picture and result; fewer always fit
LIBRARIES = 160e6  # bytes that PyTorch's libraries use once they work
ANYTHING = Request()
SLAB_COPIES = 3  # of the result of a slab: as it comes, with the skip, and at the depth of the file
SLACK = 1.15  # the allocator does not reuse all freed memory
ARENA = 2  # ONNX Runtime's memory grows by doubling


@dataclass(frozen=True)
class Plan:
    """The way to restore a picture, and its estimated cost."""

    size: tuple[int, int]  # (height, width) of the result
    tiling: Tiling
    tiles: int
    exact: bool  # whether the tiles give the result of the whole picture
    memory: float | None  # bytes of the whole process, or of the GPU's memory; None if not estimated
    seconds: float | None
    network: float = 0  # bytes of the memory that the network takes


@dataclass(frozen=True)
class Storage:
    """Bytes for pictures, beside what the networks take."""

    restoring: float = 0  # while a network runs
    files: float = 0  # the most while a file is read or written


NOTHING = Storage()


def make_plan(
    restorer: Restorer,
    shape: tuple[int, int, int],
    request: Request = ANYTHING,
    *,
    estimate_small: bool = False,
    storage: Storage = NOTHING,
    networks: int = 1,
) -> Plan:
    """Choose the largest tiles for a picture that fit into memory and do not change the result.

    Args:
        restorer: the network.
        shape: (channels, height, width) of the picture, without alpha.
        request: the size of the result, and the memory. If no exact tiles fit into ``max_memory``, the
            halo gets smaller too. Without ``max_memory`` the plan may use all free memory.
        estimate_small: estimate the cost of a small picture too, although it always fits.
        storage: the memory for the picture and the result.
        networks: in a row, which share the memory.

    Raises:
        ImageError: the picture cannot be restored in that memory, or a halo is impossible here.
        SpecError: the network does not do that size.
    """
    size = request.geometry.size_for(restorer, *shape[1:])
    max_memory, halo, workers = request.max_memory, request.halo, request.workers
    decoded = decoded_size(restorer, shape, size)
    reach = reach_of(restorer, shape[1:], decoded)
    field = reach.field
    if halo is not None and (halo < 0 or field is None):
        expected = "at least 0" if halo < 0 else "none: this network sees the whole picture, which cannot be cut"
        raise ImageError(f"got a halo of {halo} px, expected {expected}")
    if max_memory is None and not estimate_small and shape[1] * shape[2] + size[0] * size[1] < SMALL_PICTURE:
        tiling = next(reach.tilings(halo)).within(*shape[1:])
        return Plan(size, tiling, tiling.count(*shape[1:]), reach.is_exact(tiling, *shape[1:]), None, None)
    limit = math.inf if max_memory is None else parse_memory(max_memory)
    if restorer.memory_per_pixel is None:
        estimate = _estimator(restorer, shape, decoded, size)
    else:
        estimate = _program_estimator(restorer, restorer.memory_per_pixel, shape, decoded, size)
    if restorer.mean.device.type != "cpu":  # whose memory holds no pictures
        storage = NOTHING
    smallest = math.inf
    for each in reach.tilings(halo, may_approximate=max_memory is not None):
        tiling = each.within(*shape[1:])
        network, seconds = estimate(tiling)
        memory = LIBRARIES + max(storage.restoring + networks * network, storage.files)
        taken, free = _memory(restorer.mean.device)
        limit = min(limit, taken + free)
        if taken + workers * memory <= limit:
            exact, tiles = reach.is_exact(tiling, *shape[1:]), tiling.count(*shape[1:])
            tidy = replace(tiling, trims=max_memory is not None)
            alone = LIBRARIES + max(storage.restoring + network, storage.files)
            return Plan(size, tidy, tiles, exact, taken + alone, seconds, network)
        smallest = min(smallest, taken + workers * memory)
    if field is None:
        remedy = "the network sees the whole picture at once, so tiles are impossible; use a window or more memory"
    elif halo is None and max_memory is None:
        remedy = "use a smaller picture, more memory, or a smaller halo, which is approximate"
    else:
        remedy = "use a smaller picture or more memory"
    if workers > 1:
        remedy = "use fewer workers, a smaller picture or more memory"
    raise ImageError(
        f"restoring {shape[2]}x{shape[1]} to {size[1]}x{size[0]} takes {smallest / 1e9:.2f} GB, expected at most "
        f"{limit / 1e9:.2f} GB: {remedy}"
    )


def warn_if_approximate(restorer: Restorer, plan: Plan, request: Request, name: str = "") -> None:
    """Warn when lack of memory makes tiles approximate although nobody asked for a smaller halo."""
    if not plan.exact and request.halo is None:
        field = reach_of(restorer, plan.size, plan.size).field
        warnings.warn(
            f"{name}the result is approximate: tiles have a halo of {plan.tiling.halo} px, since tiles with the "
            f"network's {field} px do not fit into {request.max_memory}",
            stacklevel=3,
        )


def decoded_size(restorer: Restorer, shape: tuple[int, int, int], size: tuple[int, int]) -> tuple[int, int]:
    """The (height, width) to decode, for a result of that size from a picture (channels, height, width).

    An implicit decoder that gives fewer points than there are pixels skips some, which is aliasing. So an
    axis that shrinks is decoded at the picture's own size, and reduced afterwards with an antialiasing kernel.
    """
    if restorer.sizes != "any":
        return size
    return max(size[0], shape[1]), max(size[1], shape[2])


def parse_memory(text: float | str) -> float:
    """The bytes of ``"2GB"``, ``"512MiB"`` or a number.

    Raises:
        ImageError: the text is no amount of memory.
    """
    try:
        return float(TypeAdapter(ByteSize).validate_python(int(text) if isinstance(text, float) else text))
    except ValidationError:
        raise ImageError(f"got {text!r} for the memory, expected bytes or text such as 2GB or 512MiB") from None


def _estimator(
    restorer: Restorer, shape: tuple[int, int, int], size: tuple[int, int], target: tuple[int, int]
) -> Callable[[Tiling], tuple[float, float]]:
    """A function that estimates bytes and seconds for a tiling. The decoded size is reduced to the target."""
    channels, height, width = shape
    with torch.device("meta"):
        network = Restorer(restorer.spec).to(restorer.mean.dtype).eval()
    encoder = network.spec.encoder.config
    seen = network.spec.encoder_channels
    features = encoder.out_channels(seen)
    like = network.mean
    # Multiples of the alignment, as tiles are, because padding would make the sides grow by jumps.
    aligned = alignment_of(encoder)
    near = math.ceil(NEAR / aligned) * aligned
    far = near + math.ceil((FAR - NEAR) / aligned) * aligned

    @cache
    def encoding(rows: int, columns: int) -> Cost:
        image = like.new_empty(1, seen, rows, columns)
        return cost(lambda: network.encode(network.pad(image)))

    @cache
    def decoding(rows: int) -> Cost:
        image = like.new_empty(1, network.channels, rows, width)
        sides = network.pad(image).shape[-2:]
        encoded = like.new_empty(1, features, *sides).to(memory_format=torch.channels_last)
        return cost(lambda: network.decode(encoded, image, (max(1, round(rows * size[0] / height)), size[1])))

    def encoding_of_tile(rows: int, columns: int) -> Cost:
        if encoder.receptive_field() is None or min(rows, columns) < near:
            return encoding(rows, columns)
        down, right = ((length - near) / (far - near) for length in (rows, columns))
        small, one, both = encoding(near, near), encoding(far, near), encoding(far, far)
        return small + (one - small) * (down + right) + (both - one * 2 + small) * (down * right)

    few = max(24, math.ceil(DECODED / width))  # rows that show what decoding costs

    def decoding_of_all() -> Cost:
        more = few + 8
        if height <= more:
            return decoding(height)
        return decoding(more) + (decoding(more) - decoding(few)) * ((height - more) / (more - few))

    def memory_of_decoding(slabs: list[Slab]) -> float:
        """The bytes for decoding the slab in the middle."""
        slab = slabs[len(slabs) // 2]
        rows, (start, stop) = slab.features[1] - slab.features[0], slab.rows
        result = network.spec.decoded_channels * (stop - start) * size[1] * like.element_size()
        if len(slabs) == 1:
            return decoding_of_all().memory
        return SLAB_COPIES * result + decoding(min(height, max(few, rows))).memory

    def estimate(tiling: Tiling) -> tuple[float, float]:
        rows, columns = tiling.largest(height), tiling.largest(width)
        tiles, tile, decoded = tiling.count(height, width), encoding_of_tile(rows, columns), decoding_of_all()
        slabs = slabs_of(network, (height, width), size, tiling)
        seen = max(slab.features[1] - slab.features[0] for slab in slabs)
        passes = channels if network.channels == 1 else 1
        band = features * width * min(height, rows + seen)  # the features of a row of tiles, and those still needed
        pictures = channels * (min(height, 2 * rows) * width + (size[0] * size[1] if size != target else 0))
        kept = (passes * band + pictures) * like.element_size()
        memory = kept + max(tile.memory, memory_of_decoding(slabs))
        work = (tile * tiles + decoded) * passes
        speed, bandwidth, interpolation = _machine(restorer.mean.device)
        seconds = work.multiply_adds / speed + work.traffic / bandwidth + work.interpolated / interpolation
        return SLACK * memory, seconds

    return estimate


def _program_estimator(
    restorer: Restorer,
    memory_per_pixel: tuple[float, float],
    shape: tuple[int, int, int],
    size: tuple[int, int],
    target: tuple[int, int],
) -> Callable[[Tiling], tuple[float, float]]:
    """The same for a program: the work is that of its network, the memory is what the file says."""
    channels, height, width = shape
    like, ratio = restorer.mean, size[0] * size[1] / (height * width)
    network = _estimator(restorer, shape, size, target)
    before, after = memory_per_pixel

    def estimate(tiling: Tiling) -> tuple[float, float]:
        _, seconds = network(tiling)
        rows, columns = tiling.largest(height), tiling.largest(width)
        pictures = channels * (rows * width * (1 + 2 * ratio) + (size[0] * size[1] if size != target else 0))
        return ARENA * rows * columns * (before + after * ratio) + SLACK * pictures * like.element_size(), seconds

    return estimate


def _memory(device: torch.device) -> tuple[float, float]:
    """The bytes that this process uses, and the bytes that are free for it."""
    if device.type == "cuda":
        return float(torch.cuda.memory_reserved(device)), float(torch.cuda.mem_get_info(device)[0])
    return float(psutil.Process().memory_info().rss), float(psutil.virtual_memory().available)


@cache
def _machine(device: torch.device) -> tuple[float, float, float]:
    """Multiply-adds, bytes, and bicubically interpolated values per second, measured."""
    matrix, memory = torch.ones(768, 768, device=device), torch.ones(2**21, device=device)
    picture = torch.ones(1, 3, 128, 128, device=device)

    def seconds(work: Callable[[], object]) -> float:
        taken = []
        for _ in range(3):
            started = time.perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            taken.append(time.perf_counter() - started)
        return min(taken)

    return (
        768**3 / seconds(lambda: matrix @ matrix),
        2 * memory.nbytes / seconds(memory.clone),
        4 * picture.numel() / seconds(lambda: resize(picture, (256, 256))),
    )
