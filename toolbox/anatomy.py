"""The inputs, outputs and cost of each part of a network, found by running it on tensors without data."""

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
    """One component of a network. A network may use it at several places; this is all of them together."""

    path: str  # path in the spec, such as encoder.transition.nonlocal
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
        restorer: in eval mode and on the meta device; do not use it afterwards.
        size: (height, width) of the image.
        target: (height, width) of the restored image.
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
    except Exception:  # a third-party part may fail; its name and its number of parameters are known all the same
        return parts, None
    return parts, meter.multiply_adds


def _parts(spec: ComponentSpec, modules: list[nn.Module], path: str) -> Iterator[tuple[Part, list[nn.Module]]]:
    from toolbox.spec import ComponentSpec

    count = sum(parameter.numel() for module in modules for parameter in module.parameters())
    yield Part(path, spec.name, count), modules
    for name, field in type(spec.config).model_fields.items():
        value = getattr(spec.config, name)
        listed = isinstance(value, tuple)
        for number, inner in enumerate(value if listed else (value,)):
            if isinstance(inner, ComponentSpec) and isinstance(inner.info.factory, type):
                kind, index = inner.info.factory, number if listed else None
                found = [each for module in modules for each in _modules(module, name, index, kind)]
                key = f"{field.alias or name}.{number}" if listed else field.alias or name
                yield from _parts(inner, found, f"{path}.{key}")


def _modules(module: nn.Module, field: str, index: int | None, kind: type) -> list[nn.Module]:
    """The modules of a component inside another's: the one named after the field of its config, or else all."""
    child = getattr(module, field, None)
    if isinstance(child, nn.ModuleList) and index is not None and index < len(child):
        child = child[index]
    return [child] if isinstance(child, kind) and isinstance(child, nn.Module) else list(_inside(module, kind))


def _inside(module: nn.Module, kind: type) -> Iterator[nn.Module]:
    """The outermost modules of a kind inside a module."""
    for child in module.children():
        if isinstance(child, kind):
            yield child
        else:
            yield from _inside(child, kind)


def _watch(module: nn.Module, part: Part, meter: Meter) -> None:
    """Make every call of a module record its shapes and cost in its part."""
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
    """The shape of the first tensor, without the batch."""
    first = value[0] if isinstance(value, tuple) and value else value
    return tuple(first.shape[1:]) if isinstance(first, Tensor) else None
