"""The rule about nesting: the components in a component's settings are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from toolbox.errors import ConformanceError
from toolbox.spec import ComponentSpec
from toolbox.testing.subject import Subject


def parts(subject: Subject) -> None:
    """Each component in the settings is a part of the network, so that its plugin is named in a weights file."""
    known = [id(part) for part in subject.component.parts()]
    for component in _components(subject.component.config):
        if id(component) not in known:
            raise ConformanceError(
                f"the component {component.name!r} in the settings is not among the parts of the network; put it into "
                "a field, a list, a mapping or a Config"
            )


def _components(value: Any) -> Iterator[ComponentSpec]:
    """The components in a value, in containers of any type."""
    inner: list[Any] = []
    if isinstance(value, ComponentSpec):
        yield value
        inner = [value.config]
    elif isinstance(value, BaseModel):
        inner = [getattr(value, name) for name in type(value).model_fields]
    elif dataclasses.is_dataclass(value):
        inner = [getattr(value, each.name) for each in dataclasses.fields(value)]
    elif isinstance(value, Mapping):
        inner = list(value.values())
    elif isinstance(value, (list, tuple, set, frozenset)):
        inner = list(value)
    for each in inner:
        yield from _components(each)
