"""Find the receptive field of a network by following each operation on tensors without data.

Known local operations state how much they widen the receptive field. Any other operation, such as
attention, a mean over the picture or a reshape, counts as seeing the whole image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

aten = torch.ops.aten


@dataclass(frozen=True)
class Span:
    """On one axis, the value at index i sees the pixels from i · jump + first to i · jump + last."""

    jump: Fraction = Fraction(1)
    first: Fraction = Fraction(0)
    last: Fraction = Fraction(0)

    def windowed(self, size: int, stride: int, padding: int, dilation: int = 1) -> Span:
        """After a convolution or a pooling: index i sees the indices from i · stride − padding on."""
        start, stop = -padding, (size - 1) * dilation - padding
        return Span(self.jump * stride, self.first + start * self.jump, self.last + stop * self.jump)

    def sampled(self, factor: int, offsets: Callable[[int], Sequence[int]]) -> Span:
        """After an enlargement: index i sees the indices i // factor + offsets(i % factor)."""
        jump = self.jump / factor
        shifts = [self.jump * offset - jump * phase for phase in range(factor) for offset in offsets(phase)]
        return Span(jump, self.first + min(shifts), self.last + max(shifts))


def united(spans: Sequence[Span]) -> Span | None:
    """The union of several spans; None if they do not lie on the same grid."""
    if len({span.jump for span in spans}) != 1:
        return None
    return Span(spans[0].jump, min(span.first for span in spans), max(span.last for span in spans))


@dataclass(frozen=True)
class Seen:
    """The receptive field of a tensor's values: a span on each of its two spatial dimensions."""

    dims: tuple[int, int]
    spans: tuple[Span, Span]


EVERYTHING = None  # in place of a span: the whole image


@dataclass(frozen=True)
class Locality:
    """The pixels that a feature depends on."""

    radius: int | None  # in pixels around it; None for the whole image, or if it is unknown
    alignment: int  # a part of the image that begins at a multiple of it has the features of the whole


def measured_locality(network: nn.Module, image: Tensor) -> Locality:
    """The pixels that a feature of a network depends on.

    Args:
        network: in eval mode and on the meta device, (B, C, H, W) → (B, C', H, W).
        image: on the meta device, of a size that the network takes without padding.
    """
    follower = _Follower(image)
    with torch.no_grad(), follower:
        features = network(image)
    seen = follower.seen(features)
    if seen is EVERYTHING or follower.lost or any(span.jump != 1 for span in seen.spans):
        return Locality(None, 1)
    return Locality(int(max(max(-span.first, span.last) for span in seen.spans)), follower.step)


class _Follower(TorchDispatchMode):
    """Keeps the receptive field of every tensor that depends on the image."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # PyTorch does not annotate it
        self.tracked = WeakIdKeyDictionary()
        self.tracked[image] = Seen((2, 3), (Span(), Span()))
        # Storages shared by several tensors, by address; kept alive, because a new one could get the same.
        self.views: dict[int, torch.UntypedStorage] = {}
        self.lost = False
        self.step = 1  # multiple of every distance in pixels between neighbors on a coarser grid

    def seen(self, tensor: Tensor) -> Seen | None:
        found: Seen | None = self.tracked[tensor]
        return found

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        inputs = _tensors([*args, *kwargs.values()])
        outputs = _tensors(result if isinstance(result, (tuple, list)) else [result])
        depends = [each for each in inputs if each in self.tracked]
        if function.is_view:
            self.views |= {storage._cdata: storage for storage in (each.untyped_storage() for each in depends)}
        writes = function._schema.is_mutable and depends and outputs
        if writes and outputs[0].untyped_storage()._cdata in self.views:
            self.lost = True  # other tensors share what was written, and nobody follows those
        if depends:
            seen = self._after(function, args, inputs, depends, outputs)
            for each in outputs:
                self.tracked[each] = seen
            if seen is not EVERYTHING:
                self.step = math.lcm(self.step, *(span.jump.numerator for span in seen.spans))
        return result

    def _after(
        self, function: Any, args: Any, inputs: list[Tensor], depends: list[Tensor], outputs: list[Tensor]
    ) -> Seen | None:
        given = [self.tracked[each] for each in depends]
        if any(each is EVERYTHING for each in given):
            return EVERYTHING
        rule = RULES.get(function.overloadpacket)
        if rule is not None:
            return rule(given[0], args, outputs[0]) if len(given) == 1 else EVERYTHING
        if function.overloadpacket is aten.cat or torch.Tag.pointwise in function.tags:
            return _joined(function, args, given, [each for each in inputs if each not in self.tracked], outputs[0])
        return EVERYTHING


def _joined(function: Any, args: Any, given: list[Seen], constants: list[Tensor], output: Tensor) -> Seen | None:
    """Pointwise, or joined along a dimension that is not spatial."""
    dims = given[0].dims
    if any(each.dims != dims for each in given):
        return EVERYTHING
    if function.overloadpacket is aten.cat and (args[1] if len(args) > 1 else 0) % output.ndim in dims:
        return EVERYTHING
    # A constant that differs from place to place makes the network depend on places.
    for constant in constants:
        if any(constant.ndim >= output.ndim - dim and constant.shape[dim - output.ndim] != 1 for dim in dims):
            return EVERYTHING
    vertical, horizontal = (united([each.spans[axis] for each in given]) for axis in (0, 1))
    return EVERYTHING if vertical is None or horizontal is None else Seen(dims, (vertical, horizontal))


def _convolution(seen: Seen, args: Any, output: Tensor) -> Seen | None:
    _, weight, _, stride, padding, dilation, transposed, *_ = args
    if transposed or seen.dims != (2, 3) or output.ndim != 4:
        return EVERYTHING
    return _windowed(seen, weight.shape[2:], stride, padding, dilation)


def _pooling(seen: Seen, args: Any, output: Tensor) -> Seen | None:
    if seen.dims != (2, 3):
        return EVERYTHING
    size = args[1]
    stride = args[2] if len(args) > 2 and args[2] else size
    padding = args[3] if len(args) > 3 else (0, 0)
    return _windowed(seen, size, stride, padding, (1, 1))


def _max_pooling(seen: Seen, args: Any, output: Tensor) -> Seen | None:
    return EVERYTHING if len(args) > 4 and set(args[4]) != {1} else _pooling(seen, args, output)


def _windowed(seen: Seen, *windows: Sequence[int]) -> Seen:
    pairs = [tuple(each) * (2 // len(each)) for each in windows]  # one number stands for both axes
    vertical, horizontal = (span.windowed(*(pair[axis] for pair in pairs)) for axis, span in enumerate(seen.spans))
    return Seen(seen.dims, (vertical, horizontal))


def _unshuffle(seen: Seen, args: Any, output: Tensor) -> Seen | None:
    """Blocks of pixels become channels."""
    return _windowed(seen, (args[1],), (args[1],), (0,), (1,)) if seen.dims == (2, 3) else EVERYTHING


def _enlargement(offsets: Callable[[int, int], Sequence[int]]) -> Callable[[Seen, Any, Tensor], Seen | None]:
    def rule(seen: Seen, args: Any, output: Tensor) -> Seen | None:
        factors = [output.shape[axis] / args[0].shape[axis] for axis in (2, 3)]
        if seen.dims != (2, 3) or not all(factor.is_integer() for factor in factors):
            return EVERYTHING
        vertical, horizontal = (
            span.sampled(int(factor), lambda phase, factor=int(factor): offsets(phase, factor))  # type: ignore[misc]
            for span, factor in zip(seen.spans, factors, strict=True)
        )
        return Seen(seen.dims, (vertical, horizontal))

    return rule


def _bilinear(phase: int, factor: int) -> Sequence[int]:
    """The mean of the two pixels around (phase + 1/2) / factor − 1/2."""
    if factor == 1:
        return (0,)
    return (-1, 0) if 2 * phase + 1 < factor else (0, 1)


def _permutation(seen: Seen, args: Any, output: Tensor) -> Seen | None:
    order = [dim % output.ndim for dim in args[1]]
    return replace(seen, dims=(order.index(seen.dims[0]), order.index(seen.dims[1])))


def _layer_norm(seen: Seen, args: Any, output: Tensor) -> Seen | None:
    return seen if max(seen.dims) < output.ndim - len(args[1]) else EVERYTHING


def _padding(seen: Seen, args: Any, output: Tensor) -> Seen | None:
    """Padding with zeros in the spatial dimensions only: indices move by the padding before them."""
    left, _, top, _, *more = (*args[1], 0, 0) if len(args[1]) == 2 else args[1]
    if seen.dims != (output.ndim - 2, output.ndim - 1) or any(more):
        return EVERYTHING
    vertical, horizontal = (span.windowed(1, 1, before) for span, before in zip(seen.spans, (top, left), strict=True))
    return Seen(seen.dims, (vertical, horizontal))


def _unchanged(seen: Seen, args: Any, output: Tensor) -> Seen | None:
    return seen if output.shape == args[0].shape else EVERYTHING


def _split(seen: Seen, args: Any, output: Tensor) -> Seen | None:
    """Pieces of a dimension that is not spatial; a slice that takes everything changes nothing."""
    spatial = [output.shape[dim] == args[0].shape[dim] for dim in seen.dims]
    return seen if output.ndim == args[0].ndim and all(spatial) else EVERYTHING


Reach = Callable[[Seen, Any, Tensor], "Seen | None"]
RULES: dict[Any, Reach] = {
    aten.convolution: _convolution,
    aten.max_pool2d_with_indices: _max_pooling,
    aten.avg_pool2d: _pooling,
    aten.upsample_nearest2d: _enlargement(lambda phase, factor: (0,)),
    aten.upsample_bilinear2d: _enlargement(_bilinear),
    aten.pixel_shuffle: _enlargement(lambda phase, factor: (0,)),
    aten.pixel_unshuffle: _unshuffle,
    aten.constant_pad_nd: _padding,
    aten.permute: _permutation,
    aten.native_layer_norm: _layer_norm,
    aten.native_batch_norm: _unchanged,
    aten._native_batch_norm_legit_no_training: _unchanged,
    aten.reflection_pad2d: _unchanged,  # an empty padding, as below
    aten.replication_pad2d: _unchanged,  # an empty padding, since the image has a size that needs none
    aten.alias: _unchanged,
    aten._prelu_kernel: _unchanged,  # whose slopes are for channels
    aten.detach: _unchanged,
    aten.hardswish: _unchanged,
    aten.hardswish_: _unchanged,
    aten.slice: _split,
    aten.split: _split,
    aten.split_with_sizes: _split,
}


def _tensors(values: Sequence[Any]) -> list[Tensor]:
    """The tensors among the arguments or results of an operation, and in lists of them."""
    nested = (value if isinstance(value, (tuple, list)) else (value,) for value in values)
    return [value for each in nested for value in each if isinstance(value, Tensor)]
