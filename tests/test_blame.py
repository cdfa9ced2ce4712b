"""Whatever a plugin does wrong, its user gets one sentence that says whose fault it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from pydantic import field_validator
from torch import Tensor, nn

from tests.training.runs import IMPLICIT, recipe_data, write_pictures
from toolbox.config import Config, EncoderConfig, LossConfig, validated
from toolbox.conversion import Conversion, TensorSource
from toolbox.discovery import installed
from toolbox.errors import ImageError, PluginError, ToolboxError
from toolbox.evaluation.protocols import measure, metrics_of
from toolbox.learning import Degraded, Example
from toolbox.records import (
    ComponentInfo,
    ConverterInfo,
    DatasetInfo,
    DegradationInfo,
    LossInfo,
    MetricInfo,
    ProtocolInfo,
)
from toolbox.registry import Registries
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.training.loop import train
from toolbox.training.recipe import Recipe
from toolbox.weights.convert import convert

PICTURE = np.zeros((12, 12, 3), np.uint8)
CONDITIONED = {**IMPLICIT, "conditions": {"sigma": {}}}


class NoSettings(Config):
    """Nothing."""


class NoLossSettings(LossConfig):
    """Nothing."""


class Faulty(Config):
    """A validator with a mistake."""

    number: int = 1

    @field_validator("number")
    @classmethod
    def _look_up(cls, number: int) -> int:
        return {1: 1}[number]


class FaultyEncoder(EncoderConfig):
    """The same in a component."""

    number: int = 1

    @field_validator("number")
    @classmethod
    def _look_up(cls, number: int) -> int:
        return {1: 1}[number]

    def out_channels(self, channels: int) -> int:
        return channels

    def receptive_field(self) -> int:
        return 0


def with_plugin(**records: Any) -> Registries:
    registries = replace(installed())
    registries.add_plugin("toolbox_mine", **records)
    return registries


def trained_with(folder: Path, changes: dict[str, Any], **records: Any) -> None:
    data = recipe_data(write_pictures(folder / "photos"), budget={"steps": 1})
    recipe = validated(Recipe, {**data, **changes}, with_plugin(**records))
    (folder / "run").mkdir()
    train(recipe, folder / "run", "run")


def raises(*_: Any) -> Any:
    raise KeyError("key")


def conditions(value: Any) -> Callable[..., Degraded]:
    return lambda config, picture, scale, generator: Degraded(picture, value)


BY_TRAINING: dict[str, tuple[Any, str]] = {
    "raises": (raises, "degradation 'rain' of plugin toolbox_mine failed with KeyError: 'key'; tell its author"),
    "takes other arguments": (
        lambda picture: picture,
        "degradation 'rain' of plugin toolbox_mine failed with TypeError: .* takes 1 positional argument but 4 were",
    ),
    "gives an array": (
        lambda config, picture, scale, generator: picture.numpy(),
        "degradation 'rain' of plugin toolbox_mine gave ndarray, expected a float tensor",
    ),
    "conditions are text": (
        conditions({"sigma": "high"}),
        "degradation 'rain' of plugin toolbox_mine gave the conditions {'sigma': 'high'}, expected a mapping of names",
    ),
    "conditions are a list": (conditions([1]), r"degradation 'rain' .* gave the conditions \[1\], expected a mapping"),
    "a map of another size": (
        conditions({"sigma": torch.zeros(3, 3)}),
        r"degradation 'rain' .* gave the conditions {'sigma': tensor\(.*\)}, expected a mapping of names to numbers",
    ),
}


@pytest.mark.parametrize("case", BY_TRAINING)
def test_a_degradation_is_named(case: str, tmp_path: Path) -> None:
    degrade, sentence = BY_TRAINING[case]
    info = DegradationInfo("rain", degrade, NoSettings, "for a test", "none")
    with pytest.raises(PluginError, match=f"^{sentence}"):
        trained_with(tmp_path, {"model": CONDITIONED, "degradation": "rain"}, degradations=[info])


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        (raises, "failed with KeyError: 'key'; tell its author"),
        (lambda config, restorer: None, "failed with TypeError: 'NoneType' object is not callable; tell its author"),
        (lambda config, restorer: raises, "failed with KeyError: 'key'; tell its author"),
        (lambda config, restorer: lambda given: given.clean, r"gave a tensor of shape \(2, 1, 8, 8\), expected a tens"),
    ],
)
def test_a_loss_is_named(factory: Any, sentence: str, tmp_path: Path) -> None:
    info = LossInfo("mine", factory, NoLossSettings, "for a test", "none")
    with pytest.raises(PluginError, match=f"^loss 'mine' of plugin toolbox_mine {sentence}"):
        trained_with(tmp_path, {"loss": "mine"}, losses=[info])


class Undigested(list[Example]):
    """Examples without a digest that can be had."""

    digest = property(raises)


class Misdigested(list[Example]):
    """Examples whose digest is none."""

    digest = 5


@pytest.mark.parametrize(
    ("examples", "sentence"),
    [
        (Undigested([Example(PICTURE)]), "failed with KeyError: 'key'; tell its author"),
        (Misdigested([Example(PICTURE)]), "gave the digest 5, expected text; tell its author"),
    ],
)
def test_a_dataset_is_named(examples: Any, sentence: str, tmp_path: Path) -> None:
    info = DatasetInfo("mine", lambda config: examples, NoSettings, "for a test", "none")
    with pytest.raises(PluginError, match=f"^dataset 'mine' of plugin toolbox_mine {sentence}"):
        trained_with(tmp_path, {"data": {"name": "mine"}}, datasets=[info])


@pytest.mark.parametrize(
    ("conditions", "sentence"),
    [
        ({"sigma": "high"}, "got sigma 'high', expected a number or a map"),
        ({"sigma": None}, "got sigma None, expected finite numbers"),
        ({"sigma": np.zeros((3, 3))}, r"got sigma of shape \(3, 3\), expected a number or a map of shape \(12, 12\)"),
        ([1], r"got the conditions \[1\], expected a mapping"),
    ],
)
def test_an_example_is_named_with_its_dataset(conditions: Any, sentence: str, tmp_path: Path) -> None:
    examples = [Example(PICTURE, PICTURE, conditions)]
    info = DatasetInfo("mine", lambda config: examples, NoSettings, "for a test", "none")
    with pytest.raises(ImageError, match=f"^mine 0: {sentence}"):
        trained_with(tmp_path, {"data": {"name": "mine"}, "model": CONDITIONED}, datasets=[info])


def test_a_config_is_named_and_a_wrong_setting_is_still_the_user_s_fault() -> None:
    degradation = DegradationInfo("rain", raises, Faulty, "for a test", "none")
    data = recipe_data("photos", degradation={"name": "rain", "number": 2})
    fault = "the config of degradation 'rain' of plugin toolbox_mine failed with KeyError: 2; tell its author"
    with pytest.raises(PluginError, match=f"^{fault}"):
        validated(Recipe, data, with_plugin(degradations=[degradation]))
    with pytest.raises(ToolboxError, match=r"^degradation\.number: got 'x', expected a valid integer"):
        validated(
            Recipe,
            recipe_data("photos", degradation={"name": "rain", "number": "x"}),
            with_plugin(degradations=[degradation]),
        )


def test_a_component_is_named_when_it_is_configured_and_built() -> None:
    def factory(config: FaultyEncoder, channels: int) -> nn.Module:
        return nn.ModuleList()[3]

    registries = with_plugin(
        components=[ComponentInfo("encoder", "mine", factory, FaultyEncoder, "for a test", "none")]
    )
    spec = {"channels": 3, "encoder": {"name": "mine", "number": 2}, "decoder": "conv"}
    with pytest.raises(PluginError, match=r"^the config of encoder 'mine' of plugin toolbox_mine failed with KeyError"):
        resolve(spec, registries=registries)
    resolved = resolve({**spec, "encoder": "mine"}, registries=registries)
    with pytest.raises(PluginError, match=r"^encoder 'mine' of plugin toolbox_mine failed with IndexError: index 3"):
        Restorer(resolved)


SPEC = {"channels": 3, "encoder": "identity", "decoder": "conv"}


def first(tensor: Tensor) -> Tensor:
    return tensor[0]


def planned(**sources: Any) -> Callable[..., Conversion]:
    return lambda checkpoint, hints: Conversion(SPEC, {f"decoder.conv.{key}": each for key, each in sources.items()})


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (raises, "failed with KeyError: 'key'"),
        (lambda checkpoint: None, "failed with TypeError: .* takes 1 positional argument but 2 were given"),
        (lambda checkpoint, hints: Conversion(None, {}), "gave the spec None, expected a mapping"),  # type: ignore[arg-type]  # the mistake
        (lambda checkpoint, hints: Conversion(SPEC, None), "gave the sources None, expected a mapping"),  # type: ignore[arg-type]  # the mistake
        (planned(weight=3, bias="bias"), r"gave the source 3 of decoder\.conv\.weight, expected a name or a TensorSou"),
        (
            planned(weight=TensorSource(("a",), (), first), bias="bias"),
            r"gave the source .*, expected a name or a Tens",
        ),
        (
            planned(weight=TensorSource(("weight",), ((3, 3, 3, 3),), raises), bias="bias"),
            "failed with KeyError: 'key'",
        ),
        (
            planned(weight=TensorSource(("weight",), ((3, 3, 3, 3),), first), bias="bias"),
            "failed with RuntimeError: Err",
        ),
    ],
)
def test_a_converter_is_named(plan: Any, sentence: str) -> None:
    registries = with_plugin(converters=[ConverterInfo("mine", raises, plan, NoSettings, "for a test")])
    checkpoint = {"weight": torch.zeros(3, 3, 3, 3), "bias": torch.zeros(3)}
    with (
        mock.patch("toolbox.weights.convert.in_use", return_value=registries),
        pytest.raises(PluginError, match=f"^format 'mine' of plugin toolbox_mine {sentence}.*; tell its author"),
    ):
        convert(checkpoint, format="mine")


def test_hints_of_a_converter_are_named() -> None:
    registries = with_plugin(converters=[ConverterInfo("mine", raises, raises, Faulty, "for a test")])
    with (
        mock.patch("toolbox.weights.convert.in_use", return_value=registries),
        pytest.raises(
            PluginError, match=r"^the hints of format 'mine' of plugin toolbox_mine failed with KeyError: 2;"
        ),
    ):
        convert({"weight": torch.zeros(1)}, format="mine", number=2)


@pytest.mark.parametrize(
    ("compare", "sentence"),
    [
        (raises, "failed with KeyError: 'key'; tell its author"),
        (
            lambda restored: 0.0,
            "failed with TypeError: .* takes 1 positional argument but 2 were given; tell its author",
        ),
        (lambda restored, other: torch.zeros(2), r"gave tensor\(\[0\., 0\.\]\), expected a number; tell its author"),
    ],
)
def test_a_metric_is_named(compare: Any, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    info = MetricInfo("mine", compare, "M", "for a test", "none")
    registries = with_plugin(metrics=[info])
    protocol = ProtocolInfo("mine", "for a test", "none", "rgb", ("mine",))
    monkeypatch.setattr("toolbox.evaluation.metrics.installed", lambda: registries)
    picture = torch.rand(1, 3, 8, 8)
    with pytest.raises(PluginError, match=f"^metric 'mine' of plugin toolbox_mine {sentence}"):
        measure(protocol, picture, picture, picture, 1.0)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"metrics": "psnr"}, "has the metrics 'psnr', expected a tuple of names of metrics"),
        ({"conditions": {"sigma": "high"}}, "has the conditions {'sigma': 'high'}, expected a mapping of names to num"),
        ({"rounds": "yes"}, "has the rounds 'yes', expected True or False"),
        ({"shave": 4}, "has the shave 4, expected two integers"),
    ],
)
def test_a_protocol_is_named_when_its_plugin_is_found(fields: dict[str, Any], sentence: str) -> None:
    given = {"name": "mine", "summary": "for a test", "source": "none", "color": "rgb", "metrics": ("psnr",), **fields}
    with pytest.raises(PluginError, match=re.escape(f"protocol 'mine' {sentence}")):
        with_plugin(protocols=[ProtocolInfo(**given)])


def test_a_protocol_of_an_unknown_metric_is_named() -> None:
    protocol = ProtocolInfo("mine", "for a test", "none", "rgb", ("pnsr",), provider="toolbox_mine")
    sentence = r"^protocol 'mine' of plugin toolbox_mine gave the metric 'pnsr', expected one that is installed"
    with pytest.raises(PluginError, match=sentence):
        metrics_of(protocol, ())
