"""Networks in a row, each for the result of the one before: planned as one, without rounding between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from toolbox.errors import SpecError
from toolbox.images.arrays import check_array, rows_to_array
from toolbox.images.engine.plan import NOTHING, Plan, Storage, make_plan, warn_if_approximate
from toolbox.images.engine.request import Geometry, Request
from toolbox.images.engine.rows import ArrayRows, Rows, StreamedRows, TensorRows, joined
from toolbox.images.engine.run import Progress, counted, restore_rows, steps_of
from toolbox.images.inspection.choice import RESIZER
from toolbox.pixels import Array
from toolbox.resize import enlarged_rows, resize, rows_to_enlarge
from toolbox.restorer import Restorer, check_conditions


@dataclass(frozen=True)
class ChainPlan:
    """The plan of every network of a row, which together are one; without networks the picture stays as it is."""

    size: tuple[int, int]  # (height, width) of the result
    stages: tuple[Plan, ...]

    @property
    def tiles(self) -> int:
        """The tiles of all networks."""
        return sum(plan.tiles for plan in self.stages)

    @property
    def exact(self) -> bool:
        """Whether the tiles give the result of the whole picture."""
        return all(plan.exact for plan in self.stages)

    @property
    def memory(self) -> float | None:
        """Bytes of the whole process, at most; None if not estimated."""
        all_networks = math.fsum(plan.network for plan in self.stages)
        return max(
            (plan.memory - plan.network + all_networks for plan in self.stages if plan.memory is not None),
            default=None,
        )

    @property
    def seconds(self) -> float:
        """The estimated time, 0 if not estimated."""
        return math.fsum(plan.seconds or 0 for plan in self.stages)


def plan_chain(
    restorers: Sequence[Restorer],
    shape: tuple[int, int, int],
    request: Request,
    *,
    estimate_small: bool = False,
    storage: Storage = NOTHING,
) -> ChainPlan:
    """The plan for a picture (channels, height, width), without alpha. Its errors are those of ``make_plan``."""
    channels, height, width = shape
    stages = []
    for restorer, size in zip(restorers, chain_sizes(restorers, request.geometry, height, width), strict=True):
        own = replace(request, geometry=Geometry(size=size))
        before = (channels, height, width)
        plan = make_plan(restorer, before, own, estimate_small=estimate_small, storage=storage, networks=len(restorers))
        stages.append(plan)
        height, width = size
    return ChainPlan((height, width), tuple(stages))


def run_chain(
    restorers: Sequence[Restorer],
    array: Array,
    plan: ChainPlan,
    request: Request,
    progress: Progress | None = None,
) -> Array:
    """Restore an array (H, W) or (H, W, C) as planned; the result has the same type."""
    check_array(array)
    return rows_to_array(chain_rows(restorers, ArrayRows(array), plan, request, progress), plan.size, array)


def run_chain_on_tensor(
    restorers: Sequence[Restorer], image: Tensor, plan: ChainPlan, request: Request, progress: Progress | None = None
) -> Tensor:
    """Restore (1, C, H, W) in [0, 1] to (1, C, *plan.size) in [0, 1]."""
    return joined(chain_rows(restorers, TensorRows(image), plan, request, progress), plan.size[0])


def chain_rows(
    restorers: Sequence[Restorer], picture: Rows, plan: ChainPlan, request: Request, progress: Progress | None = None
) -> Iterator[Tensor]:
    """Yield the result from top to bottom, (1, C, some rows, W') in [0, 1], blended with the picture by the strength.

    Each network takes the rows of the one before as they come.
    """
    shape, steps = picture.shape, 0
    for restorer, stage in zip(restorers, plan.stages, strict=True):
        steps += steps_of(restorer, shape, stage.tiling)
        shape = (shape[0], *stage.size)
    step, source = counted(progress, steps), picture
    parts = iter((picture.get(0, shape[1]),)) if not restorers else iter(())
    for restorer, stage in zip(restorers, plan.stages, strict=True):
        conditions = conditions_of(restorer, request.conditions)
        parts = restore_rows(restorer, source, stage.size, stage.tiling, step, conditions)
        source = StreamedRows(parts, (shape[0], *stage.size))
    yield from parts if request.strength == 1 else _blended(picture, parts, plan.size, request.strength)


def _blended(picture: Rows, parts: Iterator[Tensor], size: tuple[int, int], strength: float) -> Iterator[Tensor]:
    """The parts of a result, mixed with the resized picture."""
    _, height, width = picture.shape
    enlarges = size[0] >= height and size[1] >= width
    whole = None if enlarges else resize(picture.get(0, height), size)
    start = 0
    for part in parts:
        stop = start + part.shape[2]
        if whole is None:
            first, last = rows_to_enlarge(height, size, start, stop)
            own = enlarged_rows(picture.get(first, last), first, height, size, start, stop)
        else:
            own = whole[:, :, start:stop]
        yield own.clamp(0, 1).lerp(part, strength)
        start = stop


def warn_if_any_approximate(restorers: Sequence[Restorer], plan: ChainPlan, request: Request, name: str = "") -> None:
    """Warn when lack of memory makes the tiles of a network approximate although nobody asked for a smaller halo."""
    for restorer, stage in zip(restorers, plan.stages, strict=True):
        warn_if_approximate(restorer, stage, request, name)


def check_request(restorers: Sequence[Restorer], request: Request) -> None:
    """Refuse conditions that no network has, missing ones, and a strength that is no share.

    Raises:
        SpecError: see above.
    """
    if not 0 <= request.strength <= 1:
        raise SpecError(f"got strength {request.strength:g}, expected a number from 0 to 1")
    taken = {name for restorer in restorers for name in restorer.spec.conditions}
    for restorer in restorers:
        unknown = {name: value for name, value in request.conditions.items() if name not in taken}
        check_conditions(restorer.spec, {**conditions_of(restorer, request.conditions), **unknown})


def conditions_of(restorer: Restorer, conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Those conditions that the network takes."""
    return {name: value for name, value in conditions.items() if name in restorer.spec.conditions}


def part_of(progress: Progress | None, index: int, count: int) -> Progress | None:
    """The progress of one part as a part of all of them."""
    if progress is None or count == 1:
        return progress
    return lambda done, steps: progress(index * steps + done, count * steps)


def chain_sizes(restorers: Sequence[Restorer], geometry: Geometry, height: int, width: int) -> list[tuple[int, int]]:
    """The (height, width) after each network: the last one that takes any size gives the requested one.

    Raises:
        SpecError: no network gives the requested size.
    """
    if not restorers:
        return []
    wanted = geometry.wanted(height, width)
    resizer = _resizer(restorers)
    later = math.prod(each.sizes for each in restorers[resizer + 1 :] if isinstance(each.sizes, int))
    if wanted is not None and later > 1 and any(length % later for length in wanted):
        raise SpecError(
            f"got output size {wanted[1]}x{wanted[0]}, but the later networks enlarge {later} times; "
            f"expected multiples of {later}"
        )
    sizes: list[tuple[int, int]] = []
    for number, restorer in enumerate(restorers):
        size = wanted if number == resizer else None
        if size is not None and later > 1:
            size = size[0] // later, size[1] // later
        own = restorer.sizes if isinstance(restorer.sizes, int) else 1
        if size is not None and restorer.sizes != "any" and size != (own * height, own * width):
            gives = "keeps the size" if own == 1 else f"enlarges {own} times"
            raise SpecError(
                f"got output size {size[1]}x{size[0]} for input {width}x{height}, but the model {gives}; "
                f"use {RESIZER}, which gives any size, alone or after this one"
            )
        height, width = restorer.output_size(height, width, size)
        sizes.append((height, width))
    return sizes


def _resizer(restorers: Sequence[Restorer]) -> int:
    """The place of the network that gives the requested size."""
    sizes = [restorer.sizes for restorer in restorers]
    of_any_size = [number for number, each in enumerate(sizes) if each == "any"]
    enlarging = [number for number, each in enumerate(sizes) if each != "same"]
    return (of_any_size or enlarging or range(len(sizes)))[-1]
