"""Run the network over a picture from top to bottom, tile by tile, as planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from toolbox.errors import ImageError
from toolbox.images.arrays import check_array, rows_to_array
from toolbox.images.engine.alpha import without_hidden_colors
from toolbox.images.engine.decoding import decode_slab, slabs_of
from toolbox.images.engine.pieces import restore_in_pieces
from toolbox.images.engine.plan import Plan, decoded_size
from toolbox.images.engine.reach import reach_of
from toolbox.images.engine.rows import ArrayRows, Rows, SomeChannels, StreamedRows, TensorRows, joined
from toolbox.images.engine.tiling import Tiling, encode_rows
from toolbox.padding import multiple_of
from toolbox.pixels import Array
from toolbox.resize import enlarged_rows, resize, rows_to_enlarge
from toolbox.restorer import Restorer

Progress = Callable[[int, int], None]  # steps done, steps in all
NONE: Mapping[str, Any] = {}
STEP = 256  # rows to look at for transparency at a time


def has_alpha(channels: int, restorer: Restorer) -> bool:
    """Whether the last of so many channels is alpha. If the network has as many, none is."""
    return channels in (2, 4) and channels != restorer.channels


def restore_array(
    restorer: Restorer,
    array: Array,
    plan: Plan,
    progress: Progress | None = None,
    conditions: Mapping[str, Any] = NONE,
) -> Array:
    """Restore an array (H, W) or (H, W, C) as planned; the result has the same type."""
    check_array(array)
    step = counted(progress, steps_of(restorer, ArrayRows(array).shape, plan.tiling))
    parts = restore_rows(restorer, ArrayRows(array), plan.size, plan.tiling, step, conditions)
    return rows_to_array(parts, plan.size, array)


def restore_tensor(
    restorer: Restorer,
    image: Tensor,
    size: tuple[int, int] | None = None,
    progress: Progress | None = None,
    tiling: Tiling | None = None,
    conditions: Mapping[str, Any] = NONE,
) -> Tensor:
    """Restore (1, C, H, W) in [0, 1] to (1, C, *size) in [0, 1].

    Without a size the network's own decides. Without a tiling the tiles are exact. The rest is as in
    ``restore_rows``.
    """
    channels, height, width = TensorRows(image).shape
    target = restorer.output_size(height, width, size)
    decoded = decoded_size(restorer, (channels, height, width), target)
    tiling = tiling or reach_of(restorer, (height, width), decoded).exact().within(height, width)
    step = counted(progress, steps_of(restorer, (channels, height, width), tiling))
    return joined(restore_rows(restorer, TensorRows(image), target, tiling, step, conditions), target[0])


def restore_rows(
    restorer: Restorer,
    picture: Rows,
    target: tuple[int, int],
    tiling: Tiling,
    done: Callable[[], None],
    conditions: Mapping[str, Any] = NONE,
) -> Iterator[Tensor]:
    """Restore a picture in [0, 1] and yield the result from top to bottom, (1, C, some rows, W') in [0, 1].

    If the network has another number of channels, the last of two or four channels is alpha, and a gray network
    restores each of three colors by itself. A program runs tile by tile as a whole. Any other network encodes a row of
    tiles and decodes what it can, before it encodes the next one.

    Args:
        restorer: the network.
        picture: its rows.
        target: (height, width) of the result.
        tiling: the tiles.
        done: called after each of ``steps_of``.
        conditions: those of the network.

    Raises:
        ImageError: the network needs another number of channels, or gives values that are not finite.
        SpecError: the network does not do that size, or a condition is missing or unknown.
    """
    like = picture.get(0, 1)
    colors, alpha = _without_alpha(restorer, picture, target)
    decoded = decoded_size(restorer, picture.shape, target)
    parts = _color_rows(restorer, colors, decoded, tiling, done, conditions)
    if decoded != target:
        parts = _reduced(parts, decoded, target)
    top = 0
    with evaluating(restorer):
        for part in _without_gradients(parts):
            result = finished(restorer, part, like)
            bottom = top + result.shape[2]
            yield result if alpha is None else torch.cat((result, alpha(top, bottom)), 1)
            top = bottom


@contextmanager
def evaluating(restorer: Restorer) -> Iterator[None]:
    """Put the network into the mode for use, and back."""
    training = restorer.training
    restorer.eval()
    try:
        yield
    finally:
        restorer.train(training)


def steps_of(restorer: Restorer, shape: tuple[int, int, int], tiling: Tiling) -> int:
    """The steps of restoring a picture (channels, height, width): its tiles, and decoding, once for each pass."""
    channels, height, width = shape
    colors = channels - has_alpha(channels, restorer)
    tiles = tiling.count(height, width)
    return (colors if restorer.channels == 1 else 1) * (tiles + (not restorer.runs_whole))


def counted(progress: Progress | None, steps: int) -> Callable[[], None]:
    """A function that counts its calls, for a progress of so many steps."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps)

    return step


def passes_of(restorer: Restorer, colors: Tensor) -> list[Tensor]:
    """Colors (1, C, H, W) as the network takes them, on its device and of its type: at once, or one after another.

    Raises:
        ImageError: the network needs another number of channels.
    """
    colors = colors.to(restorer.mean)
    if colors.shape[1] == restorer.channels:
        return [colors]
    if restorer.channels == 1 and colors.shape[1] == 3:
        return list(colors.split(1, 1))
    if colors.shape[1] == 1:
        return [colors.expand(-1, restorer.channels, -1, -1)]
    raise ImageError(f"got a picture of {colors.shape[1]} channels, expected {restorer.channels} for this model")


def merged(restored: list[Tensor], channels: int) -> Tensor:
    """The results of all passes over a picture of so many channels; a color model's for a gray picture are averaged."""
    result = torch.cat(restored, 1) if len(restored) > 1 else restored[0]
    return result if result.shape[1] == channels else result.mean(1, keepdim=True)


class _Pass:
    """The rows of one pass over a picture, as the network takes them."""

    def __init__(self, restorer: Restorer, colors: Rows, number: int, conditions: Mapping[str, Any]) -> None:
        self._restorer, self._colors, self._number = restorer, colors, number
        self._conditions = conditions

    @property
    def shape(self) -> tuple[int, int, int]:
        return self._restorer.channels, *self._colors.shape[1:]

    def get(self, start: int, stop: int) -> Tensor:
        return passes_of(self._restorer, self._colors.get(start, stop))[self._number]

    def drop(self, before: int) -> None:
        self._colors.drop(before)

    def seen(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of the padded picture, with its conditions."""
        _, height, _ = self.shape
        first = start
        if stop > height:  # the padding repeats as many rows above it
            first = max(0, start - self._restorer.padding.multiple)
        image = self.get(first, min(stop, height))
        conditions = {name: _rows_of(value, first, stop) for name, value in self._conditions.items()}
        padded = self._restorer.pad(self._restorer.with_conditions(image, conditions))
        return padded[:, :, start - first : stop - first]


def _color_rows(
    restorer: Restorer,
    colors: Rows,
    size: tuple[int, int],
    tiling: Tiling,
    done: Callable[[], None],
    conditions: Mapping[str, Any],
) -> Iterator[Tensor]:
    """The result of the network for a picture without alpha, from top to bottom."""
    channels, height, width = colors.shape
    _check_maps(restorer, (height, width), conditions)
    passes = [
        _Pass(restorer, colors, number, conditions) for number in range(len(passes_of(restorer, colors.get(0, 1))))
    ]
    streams = []
    for each in passes:
        if restorer.runs_whole:
            streams.append(restore_in_pieces(restorer, each, size, tiling, conditions, done))
        else:
            streams.append(_decoded_rows(restorer, each, size, tiling, done))
    for parts in zip(*streams, strict=True):
        yield merged(list(parts), channels)


def _decoded_rows(
    restorer: Restorer, image: _Pass, size: tuple[int, int], tiling: Tiling, done: Callable[[], None]
) -> Iterator[Tensor]:
    _, height, width = image.shape
    padded = multiple_of(height, restorer.padding), multiple_of(width, restorer.padding)
    halo = tiling.margin
    bands = encode_rows(restorer, image.seen, padded, tiling, done)
    features = StreamedRows(bands, (restorer.encoder.out_channels, *padded))
    slabs = slabs_of(restorer, (height, width), size, tiling)
    for slab in slabs:
        features.drop(slab.features[0])
        image.drop(min(slab.features[0], slab.picture[0]) - halo - restorer.padding.multiple)
        part = decode_slab(restorer, slab, features, image, (height, width), size)
        if slab is slabs[-1]:
            done()
        yield part


def _without_alpha(
    restorer: Restorer, picture: Rows, target: tuple[int, int]
) -> tuple[Rows, Callable[[int, int], Tensor] | None]:
    """The colors of a picture, and a function that gives rows of its resized alpha, if it has some."""
    channels, height, width = picture.shape
    if not has_alpha(channels, restorer):
        return picture, None
    hides = isinstance(picture, StreamedRows) or any(
        bool((picture.get(top, min(top + STEP, height))[:, -1] <= 0).any()) for top in range(0, height, STEP)
    )
    if not hides and target[0] >= height and target[1] >= width:
        return SomeChannels(picture, slice(0, -1)), partial(_enlarged, SomeChannels(picture, slice(-1, None)), target)
    image = picture.get(0, height)
    alpha = resize(image[:, -1:], target).clamp_(0, 1)
    return TensorRows(without_hidden_colors(image[:, :-1], image[:, -1:])), lambda top, bottom: alpha[:, :, top:bottom]


def _enlarged(alpha: Rows, target: tuple[int, int], start: int, stop: int) -> Tensor:
    _, height, _ = alpha.shape
    first, last = rows_to_enlarge(height, target, start, stop)
    return enlarged_rows(alpha.get(first, last), first, height, target, start, stop).clamp(0, 1)


def _reduced(parts: Iterator[Tensor], decoded: tuple[int, int], target: tuple[int, int]) -> Iterator[Tensor]:
    """The whole of the parts, reduced."""
    yield resize(joined(parts, decoded[0]), target)


def _without_gradients(parts: Iterator[Tensor]) -> Iterator[Tensor]:
    """The parts, each computed without gradients; between them nothing changes for the caller."""
    while True:
        with torch.no_grad():
            part = next(parts, None)
        if part is None:
            return
        yield part


def finished(restorer: Restorer, result: Tensor, like: Tensor) -> Tensor:
    """A result of the network in [0, 1], on the device and of the type of the picture.

    Raises:
        ImageError: it has values that are not finite.
    """
    if not all(extreme.isfinite() for extreme in result.aminmax()):  # also finds NaN
        raise ImageError(f"the network ({restorer.spec.summary or 'unnamed'}) gave values that are not finite")
    return result.to(like).clamp_(0, 1)


def _check_maps(restorer: Restorer, size: tuple[int, int], conditions: Mapping[str, Any]) -> None:
    """Refuse conditions that are missing or unknown, and maps that do not have the size of the picture."""
    if restorer.runs_whole:  # which takes no maps
        return
    whole = torch.empty(1, restorer.channels, *size, device="meta")
    restorer.with_conditions(whole, conditions)


def _rows_of(value: Any, start: int, stop: int) -> Any:
    """The rows of a map; a number stays as it is."""
    value = torch.as_tensor(value)
    return value[..., start:stop, :] if value.ndim > 1 and value.shape[-2] > 1 else value
