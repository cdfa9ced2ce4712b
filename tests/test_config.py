"""Configs: frozen, explicit, and precise about their faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from pydantic import Field, ValidationError, field_validator

from toolbox.config import Config, fault, located, validated
from toolbox.errors import SpecError


class Knob(Config):
    size: int = Field(default=3, gt=0)


class Panel(Config):
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"big": {"width": 9, "color": "red"}, "bare": {"width": 1}}
    width: int
    color: str = "gray"
    knob: Knob = Knob()
    knobs: tuple[Knob, ...] = ()
    kind_of: int = Field(default=0, alias="kind-of")

    @field_validator("color")
    @classmethod
    def _color(cls, color: str) -> str:
        if color == "loud":
            raise ValueError("got 'loud', expected a quiet color")
        if color == "louder":
            raise fault((), color, "a quiet color")
        return color


def panel(**data: Any) -> Panel:
    return validated(Panel, data, None)


def test_a_config_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        panel(width=2).width = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "width: missing; this key is required"),
        ({"width": "wide"}, "width: got 'wide', expected a valid integer, unable to parse string as an integer"),
        ({"width": 2, "knob": {"size": 0}}, "knob.size: got 0, expected greater than 0"),
        ({"width": 2, "knobs": [{}, {"size": 0}]}, "knobs.1.size: got 0, expected greater than 0"),
        ({"width": 2, "widht": 3}, "widht: unknown key; did you mean 'width'?"),
        ({"width": 2, "knob": {"sise": 3}}, "knob.sise: unknown key; did you mean 'size'?"),
        ({"width": 2, "zzz": 3}, "zzz: unknown key; expected one of color, kind-of, knob, knobs, preset, width"),
        ({"width": 2, "kind-off": 3}, "kind-off: unknown key; did you mean 'kind-of'?"),
        ({"width": 2, "knob": {"preset": 3}}, "knob.preset: unknown key; expected one of size"),
        ({"width": 2, "color": "loud"}, "color: got 'loud', expected a quiet color"),
        ({"width": 2, "color": "louder"}, "color: got 'louder', expected a quiet color"),
        ({"preset": "small"}, "preset: got 'small', expected one of big, bare"),
        (
            {"width": "wide", "knob": {"size": 0}},
            (
                "width: got 'wide', expected a valid integer, unable to parse string as an integer; "
                "knob.size: got 0, expected greater than 0"
            ),
        ),
    ],
)
def test_each_fault_is_named_with_its_path(data: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        panel(**data)
    assert str(caught.value) == message


def test_a_prefix_says_where_the_data_are_from() -> None:
    with pytest.raises(SpecError, match=r"^panel\.yaml: width: missing"):
        validated(Panel, {}, None, "panel.yaml")


def test_a_preset_is_replaced_by_what_it_stands_for() -> None:
    assert panel(preset="big") == panel(width=9, color="red")
    assert panel(preset="bare") == panel(width=1)
    assert "preset" not in panel(preset="big").model_dump()


def test_what_is_given_beside_a_preset_wins() -> None:
    assert panel(preset="big", color="blue") == panel(width=9, color="blue")


def test_a_preset_is_completed_by_what_it_leaves_open() -> None:
    with pytest.raises(SpecError, match=r"^width: got None, expected"):
        panel(preset="big", width=None)


def test_an_alias_is_what_is_written_and_the_field_s_name_is_understood_too() -> None:
    assert panel(**{"width": 1, "kind-of": 5}) == panel(width=1, kind_of=5)
    assert panel(width=1, kind_of=5).model_dump()["kind-of"] == 5


def test_a_fault_without_a_path_is_a_sentence_of_its_own() -> None:
    class Refusing(Knob):
        @field_validator("size", mode="before")
        @classmethod
        def _never(cls, size: Any) -> Any:
            raise located((), "not today")

    with pytest.raises(SpecError, match=r"^size: not today$"):
        validated(Refusing, {"size": 1}, None)
    with pytest.raises(SpecError, match=r"^got 5, expected "):
        validated(Knob, 5, None)
