"""Checks of the fields of records, so that a wrong one sets its plugin aside and fails nobody later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from toolbox.config import Config, LossConfig
from toolbox.errors import PluginError
from toolbox.records import ConverterInfo, DatasetInfo, DegradationInfo, LossInfo, MetricInfo, ProtocolInfo, Record

COLORS = ("gray", "rgb", "luma", "all")


@dataclass(frozen=True)
class Field:
    """What a field must be: in words, and as a test."""

    expected: str
    fits: Callable[[Any], bool]


def _is_subclass(of: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, type) and issubclass(value, of)


def _is_pair(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(type(each) is int for each in value)


def _maps_to_numbers(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(number, (int, float)) for name, number in value.items()
    )


TEXT = Field("some text", lambda value: isinstance(value, str))
CALL = Field("a callable", callable)
CHOICE = Field("True or False", lambda value: isinstance(value, bool))
CONFIG = Field("a subclass of Config", _is_subclass(Config))
EXPECTED: Mapping[type[Any], Mapping[str, Field]] = {
    ConverterInfo: {"recognize": CALL, "plan": CALL, "hints": CONFIG, "summary": TEXT, "license": TEXT},
    DegradationInfo: {"degrade": CALL, "config": CONFIG, "summary": TEXT, "source": TEXT},
    LossInfo: {
        "factory": CALL,
        "config": Field("a subclass of LossConfig", _is_subclass(LossConfig)),
        "summary": TEXT,
        "source": TEXT,
    },
    DatasetInfo: {"open": CALL, "config": CONFIG, "summary": TEXT, "source": TEXT},
    MetricInfo: {
        "measure": CALL,
        "label": TEXT,
        "digits": Field("a number of digits", lambda value: isinstance(value, int) and value >= 0),
        "compares_with": Field("original or input", lambda value: value in ("original", "input")),
        "summary": TEXT,
        "source": TEXT,
    },
    ProtocolInfo: {
        "color": Field(f"one of {', '.join(COLORS)}", lambda value: value in COLORS),
        "metrics": Field(
            "a tuple of names of metrics",
            lambda value: (
                isinstance(value, (tuple, list)) and bool(value) and all(isinstance(each, str) for each in value)
            ),
        ),
        "shave": Field("two integers", _is_pair),
        "patches": Field("None or two integers", lambda value: value is None or _is_pair(value)),
        "rounds": CHOICE,
        "noise_on_low_resolution": CHOICE,
        "compresses": CHOICE,
        "same_size_pairs": CHOICE,
        "conditions": Field("a mapping of names to numbers", _maps_to_numbers),
        "noise_seed": Field("None or an integer", lambda value: value is None or type(value) is int),
        "summary": TEXT,
        "source": TEXT,
    },
}


def check_fields(kind: str, record: Record) -> None:
    """Refuse a record with a field of a wrong type or value.

    Raises:
        PluginError: the message has the field, its value and what was expected.
    """
    for name, field in EXPECTED.get(type(record), {}).items():
        value = getattr(record, name)
        if not field.fits(value):
            raise PluginError(f"{kind} {record.name!r} has the {name} {value!r}, expected {field.expected}")
