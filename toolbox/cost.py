"""The memory and work of a computation, found by running it on tensors without data.

On PyTorch's meta device every operation only computes shapes. So any network shows its own memory and
work; no part has to declare them, and nothing can be forgotten.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

INTERPOLATIONS = (torch.ops.aten.upsample_bicubic2d, torch.ops.aten._upsample_bicubic2d_aa)


@dataclass(frozen=True)
class Cost:
    """The work of a computation, and the most memory that it holds at once besides its inputs."""

    memory: float  # bytes
    multiply_adds: float
    traffic: float  # bytes read and written
    interpolated: float = 0  # values that bicubic interpolation gives

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.memory + other.memory,
            self.multiply_adds + other.multiply_adds,
            self.traffic + other.traffic,
            self.interpolated + other.interpolated,
        )

    def __sub__(self, other: Cost) -> Cost:
        return self + other * -1

    def __mul__(self, factor: float) -> Cost:
        return Cost(
            self.memory * factor, self.multiply_adds * factor, self.traffic * factor, self.interpolated * factor
        )


def cost(computation: Callable[[], Any]) -> Cost:
    """Run a computation whose tensors are all on the meta device, and return its cost."""
    meter = Meter()
    with torch.no_grad(), meter:
        result = computation()  # kept until the end, because it takes memory
    del result
    return Cost(meter.most, meter.multiply_adds, meter.traffic, meter.interpolated)


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    """The tensors among the arguments or results of an operation, and in lists of them."""
    nested = (value if isinstance(value, (tuple, list)) else (value,) for value in values)
    return [value for each in nested for value in each if isinstance(value, Tensor)]


class Meter(TorchDispatchMode):
    """Counts the operations while it is entered, and follows which tensors are alive.

    Its numbers can be read at any time: ``multiply_adds`` of convolutions and matrix products, ``traffic`` and
    ``most`` (held at once) in bytes, and ``interpolated`` values.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # PyTorch does not annotate it
        self.alive: dict[int, int] = {}  # bytes of each storage
        self.now = self.most = self.multiply_adds = self.traffic = self.interpolated = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if function.is_view:
            return result
        outputs = _tensors(result if isinstance(result, (tuple, list)) else (result,))
        for tensor in outputs:
            self._follow(tensor)
        self.traffic += sum(tensor.nbytes for tensor in (*_tensors(args), *outputs))
        if function.overloadpacket in INTERPOLATIONS:
            self.interpolated += sum(tensor.numel() for tensor in outputs)
        if function.overloadpacket in flop_registry:
            self.multiply_adds += flop_registry[function.overloadpacket](*args, **kwargs, out_val=result) // 2
        return result

    def _follow(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self.alive or storage.nbytes() == 0:
            return
        self.alive[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._release, key)

    def _release(self, key: int) -> None:
        self.now -= self.alive.pop(key)
