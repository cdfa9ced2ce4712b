"""Every way of breaking the contract of a degradation, metric, loss, dataset, protocol or format is caught."""

from __future__ import annotations

import io
import os
import random
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ConfigDict, field_serializer
from torch import Tensor

from tests.testing.broken import Broken
from toolbox.config import Config, LossConfig
from toolbox.discovery import installed
from toolbox.errors import ConformanceError, PluginError, SpecError
from toolbox.learning import Degraded, Example
from toolbox.records import ConverterInfo, DatasetInfo, DegradationInfo, LossInfo, MetricInfo, ProtocolInfo
from toolbox.testing import HOOK_RULES, HookCase, check_record, conformance_cases
from toolbox.testing.hook_rules import all_rules
from toolbox.weights.convert import convert

pytestmark = pytest.mark.usefixtures("process_restored")


class Good(Config):
    """One number."""

    strength: float = 0.1


class GoodLoss(LossConfig):
    """No settings."""


class Pointwise(LossConfig):
    """Says that points are enough."""

    pointwise = True


class NoDocstring(Good):
    pass


class Lenient(Good):
    """Takes any key."""

    model_config = ConfigDict(extra="ignore")


class Lossy(Good):
    """What is written is not what was read."""

    strength: float = 0.125

    @field_serializer("strength")
    def _short(self, strength: float) -> float:
        return round(strength, 1)


def darker(config: Good, picture: Tensor, scale: float, generator: torch.Generator) -> Tensor:
    return picture - config.strength * torch.rand(picture.shape, generator=generator)


def distance(restored: Tensor, other: Tensor) -> float:
    return float((restored - other).abs().mean())


class Squares(list[Example]):
    """Examples in memory, which worker processes can have a copy of."""


def opened(config: Good) -> Squares:
    return Squares(Example(np.full((9, 9), number, np.uint8)) for number in range(3))


NAMES = {"name": "broken", "summary": "for a test", "source": "none"}


def degradation(degrade: Any = darker, config: Any = Good, **more: Any) -> DegradationInfo:
    return DegradationInfo(**{**NAMES, **more}, degrade=degrade, config=config)


def changed(change: Callable[[Tensor], Any]) -> DegradationInfo:
    return degradation(lambda config, picture, scale, generator: change(picture))


def metric(measure: Any = distance, **more: Any) -> MetricInfo:
    kept = {"label": "B", "summary": "for a test", "source": "none", "higher_is_better": False, **more}
    return MetricInfo("broken", measure, **kept)


def loss(compare: Any = lambda given: (given.restored - given.clean).abs().mean(), config: Any = GoodLoss) -> LossInfo:
    return LossInfo("broken", lambda config, restorer: compare, config, "for a test", "none")


def dataset(open_it: Any = opened, config: Any = Good) -> DatasetInfo:
    return DatasetInfo("broken", open_it, config, "for a test", "none")


def protocol(**more: Any) -> ProtocolInfo:
    return ProtocolInfo(**{**NAMES, "color": "rgb", "metrics": ("psnr",), **more})


def nothing(*_: Any) -> Any:
    return None


def converter(recognize: Any = lambda checkpoint: False, plan: Any = nothing) -> ConverterInfo:
    return ConverterInfo("broken", recognize, plan, Good, "for a test")


def dice() -> float:
    return random.random()  # noqa: S311  # that it is no cryptography


def environment(picture: Tensor) -> Tensor:
    os.environ["BROKEN"] = str(dice())
    return picture


class Elsewhere:
    """A dataset that gives what it was not asked for."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, number: int) -> Example:
        return Example(np.random.default_rng().integers(0, 255, (9, 9), dtype=np.uint8))


unclear: Any = {"rain": "much"}  # neither a number nor a map
unpicklable: Any = lambda: "x"  # noqa: E731  # a name that it must not be

BROKEN = [
    Broken("name", "record", degradation(name="My Rain"), r"got the name 'My Rain', expected lower-case words"),
    Broken(
        "summary", "record", metric(summary="A number."), r"got the summary 'A number\.', expected one line without"
    ),
    Broken("source", "record", replace(loss(), source=""), r"got no source, expected a publication"),
    Broken("function", "record", degradation(None), r"degradation 'broken' has the degrade None, expected a callable"),
    Broken(
        "config", "record", loss(config=Good), r"loss 'broken' has the config .*, expected a subclass of LossConfig"
    ),
    Broken("color", "record", protocol(color="RGB"), r".* has the color 'RGB', expected one of gray, rgb, luma, all"),
    Broken("shave", "record", protocol(shave=4), r"protocol 'broken' has the shave 4, expected two integers"),
    Broken(
        "no metric", "record", protocol(metrics=()), r".* has the metrics \(\), expected a tuple of names of metrics"
    ),
    Broken(
        "compared", "record", metric(compares_with="clean"), r".* has the compares_with 'clean', expected original or"
    ),
    Broken("config's docstring", "settings", degradation(config=NoDocstring), r"NoDocstring has no docstring"),
    Broken("lenient", "settings", dataset(config=Lenient), r"Lenient has extra='ignore', expected 'forbid'"),
    Broken("lossy JSON", "settings", degradation(config=Lossy), r"the settings \{'strength': 0\.1\} are others when"),
    Broken("wrong setting", "settings", degradation(), r"strenght: unknown key; did you mean 'str", {"strenght": 1}),
    Broken(
        "arguments", "result", degradation(lambda picture: picture), r"degradation 'broken' .* failed with TypeError"
    ),
    Broken(
        "list", "result", changed(lambda picture: [picture]), r"degradation 'broken' .* gave list, expected a float ten"
    ),
    Broken(
        "smaller", "result", changed(lambda picture: picture[:, 1:]), r"got \(3, 23, 24\) of \(3, 24, 24\) at scale 1, "
    ),
    Broken(
        "double", "result", changed(lambda picture: picture.double()), r"got torch\.float64 or values that are not fin"
    ),
    Broken("nan", "result", changed(lambda picture: picture / 0), r"got torch\.float32 or values that are not finite"),
    Broken(
        "text", "result", changed(lambda picture: Degraded(picture, unclear)), r".* gave the conditions {'rain': 'mu"
    ),
    Broken(
        "global dice",
        "generator",
        changed(lambda picture: picture + torch.rand(picture.shape)),
        r"the same generator gave two results; draw from it and from nothing else",
    ),
    Broken(
        "in place", "input-unchanged", changed(lambda picture: picture.mul_(0.5)), r"the clean picture is changed in"
    ),
    Broken(
        "text for a number", "number", metric(lambda a, b: "good"), r"metric 'broken' of .* gave 'good', expected a num"
    ),
    Broken(
        "a tensor",
        "number",
        metric(lambda a, b: (a - b).mean()),
        r"metric 'broken' .* gave tensor.*, expected a number",
    ),
    Broken("dice", "number", metric(lambda a, b: dice()), r"the same pictures gave .* and "),
    Broken(
        "which is better", "number", metric(higher_is_better=True), r"got 0\.0 for equal pictures and .* for others"
    ),
    Broken(
        "each pixel", "scalar", loss(lambda given: given.restored), r"loss 'broken' .* gave a tensor of shape \(2, 3, "
    ),
    Broken("infinite", "scalar", loss(lambda given: given.restored.sum() / 0), r"got inf, expected a finite number"),
    Broken("noise", "scalar", loss(lambda given: given.restored.mean() * dice()), r"the same batch gave two los"),
    Broken(
        "detached", "scalar", loss(lambda given: given.restored.detach().mean()), r"no gradient reaches the restored"
    ),
    Broken(
        "whole patches",
        "points",
        loss(lambda given: given.restored.mean((2, 3)).mean(), Pointwise),
        r"loss 'broken' .* failed with IndexError: Dimension out of range",
    ),
    Broken("nothing", "examples", dataset(lambda config: []), r"it has no example, expected some with these settings"),
    Broken(
        "arrays", "examples", dataset(lambda config: [np.zeros((9, 9))]), r"got a ndarray for number 0, expected an Ex"
    ),
    Broken("another each time", "examples", dataset(lambda config: Elsewhere()), r"number \d gave two examples"),
    Broken(
        "other pixels",
        "examples",
        dataset(lambda config: [Example(np.zeros(9))]),
        r".*got an array of shape \(9,\), ex",
    ),
    Broken(
        "open file",
        "workers",
        dataset(lambda config: [Example(np.zeros((9, 9)), name=unpicklable)]),
        r".*[Pp]ickle",
    ),
    Broken(
        "unknown metric",
        "known-metrics",
        protocol(metrics=("psrn",)),
        r"protocol 'broken' of .* gave the metric 'psrn', expected one that is installed \(unknown metric 'psrn'; did",
    ),
    Broken(
        "border", "score", protocol(shave=(0, 100)), r"got a picture of 192x192, expected one larger than the 100 px"
    ),
    Broken("word", "recognition", converter(lambda checkpoint: "maybe"), r"got 'maybe', expected True or False"),
    Broken("key", "recognition", converter(lambda checkpoint: checkpoint.tensors["a"] > 0), r"KeyError: 'a'"),
    Broken(
        "anything", "recognition", converter(lambda checkpoint: True), r"it recognizes a checkpoint without a tensor"
    ),
    Broken("environment", "global-state", changed(environment), r"it changes Python's random state, the environment"),
    Broken(
        "draws",
        "global-state",
        loss(lambda given: given.restored.mean() + 0 * torch.rand(())),
        r"it changes torch's random state",
    ),
]


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_a_broken_record_is_told_the_rule_that_it_breaks(broken: Broken) -> None:
    broken.is_told_by(lambda: check_record(broken.info, broken.settings))


def test_every_rule_is_broken_by_one_of_them() -> None:
    assert {broken.rule for broken in BROKEN} == {rule.name for rule in all_rules()}
    assert all(rule.sentence.endswith(".") and "\n" not in rule.sentence for rule in all_rules())


@pytest.mark.parametrize("make", [degradation, metric, loss, dataset, protocol, converter])
def test_what_the_broken_ones_are_made_of_keeps_every_rule(make: Callable[[], Any]) -> None:
    check_record(make())


def test_another_record_is_refused() -> None:
    with pytest.raises(
        PluginError, match=r"^got a int, expected the record of a degradation, metric, loss, dataset, pro"
    ):
        check_record(5)


# Those that are built in.


def built_in(folder: Path) -> Iterator[HookCase]:
    """Every rule for every record of ours; datasets get pictures."""
    photos = str(Path(__file__).parents[2] / "examples" / "photos")
    settings = {
        "pictures": {"folder": photos},
        "pairs": {"clean": photos, "degraded": photos},
        "webdataset": {"shards": str(folder)},
        "huggingface": {"path": photos, "split": "train[:2]"},
    }
    for plugin in sorted({"toolbox", *(name for name in installed().versions if name.startswith("toolbox_"))}):
        cases = conformance_cases(plugin, settings if plugin == "toolbox" else None)
        yield from (case for case in cases if isinstance(case, HookCase) and is_installed(case.info.name))


def is_installed(name: str) -> bool:
    """Whether a record can be used: that of an extra needs its package."""
    return name != "huggingface" or find_spec("datasets") is not None


def test_built_in_records_keep_every_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_installed("huggingface"):
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    photo = next((Path(__file__).parents[2] / "examples" / "photos").glob("*.png")).read_bytes()
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        for part in ("clean", "degraded"):
            entry = tarfile.TarInfo(f"1.{part}.png")
            entry.size = len(photo)
            archive.addfile(entry, io.BytesIO(photo))
    checked = set()
    for case in built_in(tmp_path):
        case()
        checked.add((case.kind, case.info.name))
    assert {kind for kind, _ in checked} == set(HOOK_RULES)


def test_a_dataset_without_settings_asks_for_them() -> None:
    with pytest.raises(ConformanceError, match=r"breaks the rule settings: folder: missing; this key is required"):
        check_record(installed().datasets["pictures"])


def test_settings_of_nothing_are_refused() -> None:
    with pytest.raises(SpecError, match=r"^got settings for 'gausian-noise'; did you mean 'gaussian-noise'\?$"):
        conformance_cases("toolbox", {"gausian-noise": {}})


# Where nobody checked: the user is told whose fault it is.


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (
            lambda checkpoint, hints: checkpoint.tensors["a"],
            r"^format 'broken' of plugin toolbox_mine failed with KeyError: 'a'; tell its",
        ),
        (
            lambda checkpoint, hints: {},
            r"^format 'broken' of plugin toolbox_mine gave a dict, expected a Conversion; tell",
        ),
    ],
)
def test_a_converter_at_fault_is_named_with_its_plugin(
    plan: Any, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registries = replace(installed())
    registries.add_plugin("toolbox_mine", converters=[converter(plan=plan)])
    monkeypatch.setattr("toolbox.weights.convert.in_use", lambda _: registries)
    with pytest.raises(PluginError, match=sentence):
        convert({"weight": torch.zeros(2)}, format="broken")
