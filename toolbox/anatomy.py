"""What each part of a network takes, gives and costs, found by running it on tensors without data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from toolbox.cost import Meter

if TYPE_CHECKING:
    from toolbox.restorer import Restorer
    from toolbox.spec import ComponentSpec


@dataclass
class Part:
    """One component of a network; in a network that uses it at several places, all of them together."""

    path: str  # into the spec, such as encoder.transition.nonlocal
    name: str
    parameters: int
    takes: tuple[int, ...] | None = None  # (C, H, W) of its first call; None where it is never called
    gives: tuple[int, ...] | None = None
    calls: int = 0
    multiply_adds: int = 0  # of convolutions and matrix products, over all calls

    def to_data(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)


def anatomy(restorer: Restorer, size: tuple[int, int], target: tuple[int, int]) -> tuple[list[Part], int | None]:
    """Every part, outermost first, and the multiply-adds of all, or None where a part runs on data only.

    Args:
        restorer: in eval mode and on the meta device; it is not to be used afterwards.
        size: (height, width) of the image.
        target: (height, width) that it is restored to.
    """
    parts, meter = [], Meter()
    for path in ("encoder", "decoder"):
        for part, modules in _parts(getattr(restorer.spec, path), [getattr(restorer, path)], path):
            for module in modules:
                _watch(module, part, meter)
            parts.append(part)
    image = restorer.mean.new_empty(1, restorer.channels, *size)
    try:
        with torch.no_grad(), meter:
            restorer(image, size=target, **dict.fromkeys(restorer.spec.conditions, 0.0))
    except Exception:  # of a stranger's part: what it is and how many parameters it has can be told all the same
        return parts, None
    return parts, meter.multiply_adds


def _parts(spec: ComponentSpec, modules: list[nn.Module], path: str) -> Iterator[tuple[Part, list[nn.Module]]]:
    from toolbox.spec import ComponentSpec

    count = sum(parameter.numel() for module in modules for parameter in module.parameters())
    yield Part(path, spec.name, count), modules
    for name, field in type(spec.config).model_fields.items():
        inner = getattr(spec.config, name)
        if isinstance(inner, ComponentSpec) and isinstance(inner.info.factory, type):
            found = [each for module in modules for each in _inside(module, inner.info.factory)]
            yield from _parts(inner, found, f"{path}.{field.alias or name}")


def _inside(module: nn.Module, kind: type) -> Iterator[nn.Module]:
    """The outermost modules of a kind inside a module."""
    for child in module.children():
        if isinstance(child, kind):
            yield child
        else:
            yield from _inside(child, kind)


def _watch(module: nn.Module, part: Part, meter: Meter) -> None:
    """Let every call of a module tell its part."""
    forward: Callable[..., Any] = module.forward

    def watched(*args: Any, **kwargs: Any) -> Any:
        before = meter.multiply_adds
        result = forward(*args, **kwargs)
        if not part.calls:
            part.takes, part.gives = _shape(args[0]), _shape(result)
        part.calls += 1
        part.multiply_adds += meter.multiply_adds - before
        return result

    module.forward = watched


def _shape(value: Any) -> tuple[int, ...] | None:
    """Of the first tensor, without the batch."""
    first = value[0] if isinstance(value, tuple) and value else value
    return tuple(first.shape[1:]) if isinstance(first, Tensor) else None
