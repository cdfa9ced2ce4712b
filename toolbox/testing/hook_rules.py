"""The rules for what plugins bring beside components. Each is a function whose name and docstring are the rule's."""

from __future__ import annotations

import json
import math
import pickle
import random
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolbox.choice import Choice
from toolbox.config import Config, validated
from toolbox.conversion import Checkpoint
from toolbox.degradations.spec import degraded_by
from toolbox.errors import ConformanceError, ToolboxError
from toolbox.evaluation.protocols import describe, measure, measured, metrics_of
from toolbox.learning import Example, LossInput
from toolbox.registry import Registries
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.testing.process import process_state
from toolbox.testing.rules import Rule
from toolbox.training.losses import WeightedLosses
from toolbox.training.pictures import prepared

SIDE = 192  # pixels along a side of pictures to measure; every metric of ours compares them
PATCH = 24  # and of pictures to degrade


@dataclass(frozen=True)
class HookSubject:
    """A record of a plugin, the settings to test it with, and the registries that know it."""

    kind: str  # degradation, loss, dataset, metric, protocol or checkpoint format
    info: Any
    settings: Mapping[str, Any]
    registries: Registries

    @cached_property
    def choice(self) -> Choice:
        """The record with its validated settings."""
        return Choice(self.info, validated(self.info.config, self.settings, self.registries))

    def degraded(self, picture: Tensor, scale: float = 1.0, seed: int = 0) -> Any:
        """The picture and the conditions that a degradation makes of one."""
        return degraded_by([self.choice], picture, scale, torch.Generator().manual_seed(seed))

    @cached_property
    def network(self) -> Restorer:
        """A network for a loss, the same every time."""
        encoder = {"name": "edsr", "channels": 4, "blocks": 1}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return Restorer(resolve({"channels": 3, "encoder": encoder, "decoder": "conv"}, registries=self.registries))

    @cached_property
    def batch(self) -> Tensor:
        """What a loss is told to be restored."""
        return torch.rand(2, 3, PATCH, PATCH, generator=torch.Generator().manual_seed(2))

    @cached_property
    def features(self) -> Tensor:
        """What the network's encoder makes of it, for a gradient."""
        with torch.no_grad():
            return self.network.encode(self.batch)

    def loss(self, restored: Tensor, clean: Tensor, points: Tensor | None = None) -> Tensor:
        """What a fresh loss gives for a batch."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            losses = WeightedLosses([self.choice], self.network)
        value: Tensor = losses(LossInput(restored, clean, self.batch, self.features, (PATCH, PATCH), points))
        return value


def record(subject: HookSubject) -> None:
    """The record has a name of lower-case words, a summary of one line without a period, and a source."""
    info = subject.info
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", info.name):
        raise ConformanceError(f"got the name {info.name!r}, expected lower-case words joined by dashes")
    if not info.summary or "\n" in info.summary or info.summary.endswith("."):
        raise ConformanceError(f"got the summary {info.summary!r}, expected one line without a period")
    if not getattr(info, "source", "a format has none"):
        raise ConformanceError("got no source, expected a publication, or 'none: ' with a reason")


def settings(subject: HookSubject) -> None:
    """The settings are strict and frozen, have a docstring, and come back from JSON and from another process."""
    config = subject.choice.config
    for option, expected in Config.model_config.items():
        if option in ("frozen", "extra", "allow_inf_nan") and config.model_config.get(option) != expected:
            raise ConformanceError(
                f"{type(config).__name__} has {option}={config.model_config.get(option)!r}, expected {expected!r}"
            )
    if not type(config).__dict__.get("__doc__"):
        raise ConformanceError(f"{type(config).__name__} has no docstring; expected one")
    written = json.loads(config.model_dump_json())
    if type(config).model_validate(written, context=subject.registries) != config:
        raise ConformanceError(f"the settings {written} are others when they are read back")
    if pickle.loads(pickle.dumps(config)) != config:  # noqa: S301  # our own bytes
        raise ConformanceError("the settings are others in another process, where batches are made")


def result(subject: HookSubject) -> None:
    """A degradation gives a float tensor as large as the picture or the reduced one, and tells numbers or maps."""
    for channels, scale in ((3, 1.0), (1, 1.0), (3, 2.0)):
        picture = torch.rand(channels, PATCH, PATCH)
        picture_given, _ = subject.degraded(picture, scale)  # which refuses other conditions
        reduced = (channels, round(PATCH / scale), round(PATCH / scale))
        if tuple(picture_given.shape) not in (reduced, tuple(picture.shape)):
            raise ConformanceError(
                f"got {tuple(picture_given.shape)} of {tuple(picture.shape)} at scale {scale:g}, expected {reduced}"
            )
        if picture_given.dtype != picture.dtype or not picture_given.isfinite().all():
            raise ConformanceError(f"got {picture_given.dtype} or values that are not finite, expected {picture.dtype}")


def generator(subject: HookSubject) -> None:
    """A degradation draws from the given generator alone, so that one seed gives one result."""
    picture = torch.rand(3, PATCH, PATCH)
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002  # the global one, which must not matter
        results.append(subject.degraded(picture, seed=3).picture)
    if not torch.equal(*results):
        raise ConformanceError("the same generator gave two results; draw from it and from nothing else")


def input_unchanged(subject: HookSubject) -> None:
    """A degradation leaves the clean picture as it was."""
    picture = torch.rand(3, PATCH, PATCH)
    before = picture.clone()
    subject.degraded(picture)
    if not torch.equal(picture, before):
        raise ConformanceError("the clean picture is changed in place")


def number(subject: HookSubject) -> None:
    """A metric is a number, the same every time, and no better for another picture than for the same one."""
    if not _is_ready(subject):
        return
    picture, other = torch.rand(2, 1, 3, SIDE, SIDE, dtype=torch.float64).unbind(0)
    same, different, again = (measured(subject.info, each, picture) for each in (picture, other, other))
    if different != again:
        raise ConformanceError(f"the same pictures gave {different} and {again}")
    if different > same if subject.info.higher_is_better else different < same:
        raise ConformanceError(f"got {same} for equal pictures and {different} for others, which counts as better")


def scalar(subject: HookSubject) -> None:
    """A loss is one finite number, the same every time, whose gradient reaches the restored batch or the features."""
    restored, clean = torch.rand(2, 2, 3, PATCH, PATCH).unbind(0)
    network = (restored.requires_grad_(), subject.features.requires_grad_())
    value = subject.loss(restored, clean)
    if not value.isfinite():
        raise ConformanceError(f"got {value.item()}, expected a finite number")
    if subject.loss(restored, clean).item() != value.item():
        raise ConformanceError("the same batch gave two losses")
    gradients = torch.autograd.grad(value, network, allow_unused=True) if value.requires_grad else ()
    if not any(gradient is not None and gradient.any() for gradient in gradients):
        raise ConformanceError("no gradient reaches the restored batch or the features")


def points(subject: HookSubject) -> None:
    """A loss that says it is pointwise compares some points of each patch, too."""
    if not subject.info.config.pointwise:
        return
    numbers = torch.stack([torch.randperm(PATCH**2)[:7] for _ in range(2)])
    restored, clean = torch.rand(2, 2, 3, 7).unbind(0)
    if not subject.loss(restored, clean, numbers).isfinite():
        raise ConformanceError("got a loss that is not finite for (B, C, N) values at points")


def examples(subject: HookSubject) -> None:
    """A dataset has examples with pixels that can be read, and gives the same one for the same number."""
    opened = subject.info.open(subject.choice.config)
    if not len(opened):
        raise ConformanceError("it has no example, expected some with these settings")
    for place in {0, len(opened) - 1}:
        example = opened[place]
        if not isinstance(example, Example):
            raise ConformanceError(f"got a {type(example).__name__} for number {place}, expected an Example")
        first, again = (prepared(each, _channels(each), f"example {place}") for each in (example, opened[place]))
        for one, other in ((first.clean, again.clean), (first.degraded, again.degraded)):
            if not np.array_equal(one, other):  # type: ignore[arg-type]  # None equals None
                raise ConformanceError(f"number {place} gave two examples")


def workers(subject: HookSubject) -> None:
    """A dataset can be sent to worker processes, and gives the same there."""
    opened = subject.info.open(subject.choice.config)
    copy = pickle.loads(pickle.dumps(opened))  # noqa: S301  # our own bytes
    one, other = (prepared(each[0], _channels(each[0]), "an example") for each in (opened, copy))
    if len(copy) != len(opened) or not np.array_equal(one.clean, other.clean):
        raise ConformanceError("a copy of it gives other examples")


def known_metrics(subject: HookSubject) -> None:
    """A protocol names metrics that are installed."""
    metrics_of(subject.info, ())


def score(subject: HookSubject) -> None:
    """A protocol can be described, and scores pictures."""
    info = subject.info
    json.dumps(describe(info))
    channels = {"gray": 1, "all": 5}.get(info.color, 3)
    scale = 2.0 if info.enlarges else 1.0
    original, restored = torch.rand(2, 1, channels, SIDE, SIDE).unbind(0)
    low = torch.rand(1, channels, round(SIDE / scale), round(SIDE / scale))
    for name, value in measure(info, restored, original, low, scale).items():
        if math.isnan(value):
            raise ConformanceError(f"the metric {name} gave no number")


def recognition(subject: HookSubject) -> None:
    """A format says of any checkpoint whether it is one of its own, and never of an empty one."""
    strangers = (
        Checkpoint({}),
        Checkpoint({"weight": torch.zeros(2, 3)}),
        Checkpoint({"model.0.weight": torch.zeros(()), "optimizer": torch.zeros(1)}, {"epoch": 3, "args": ["x"]}),
    )
    for checkpoint in strangers:
        answer = subject.info.recognize(checkpoint)
        if not isinstance(answer, bool):
            raise ConformanceError(f"got {answer!r}, expected True or False")
    if subject.info.recognize(strangers[0]):
        raise ConformanceError("it recognizes a checkpoint without a tensor")


def global_state(subject: HookSubject) -> None:
    """It leaves alone everything that is not its own: random states, torch's switches, the environment, the path."""
    if subject.kind == "metric" and not _is_ready(subject):
        return
    before, state = process_state(), torch.get_rng_state()
    picture = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    patch = picture[:, :PATCH, :PATCH].clone()
    if subject.kind == "degradation":
        subject.degraded(patch)
    elif subject.kind == "metric":
        measured(subject.info, picture[None].double(), picture[None].double() / 2)
    elif subject.kind == "loss":
        subject.loss(patch.expand(2, -1, -1, -1), patch.expand(2, -1, -1, -1) / 2)
    elif subject.kind == "dataset":
        subject.info.open(subject.choice.config)[0]
    touched = [name for name, value in process_state().items() if value != before[name]]
    if not torch.equal(torch.get_rng_state(), state):
        touched.insert(0, "torch's random state")
    if touched:
        raise ConformanceError(f"it changes {', '.join(touched)}")


def _is_ready(subject: HookSubject) -> bool:
    """Whether a metric can be measured here; one that needs a package that is not installed cannot."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if subject.info.ready is not None:
                subject.info.ready()
    except ToolboxError:
        return False
    return True


def _channels(example: Example) -> int:
    shape = tuple(example.clean.shape)
    if len(shape) < 3:
        return 1
    return shape[0] if isinstance(example.clean, Tensor) else shape[2]


def _rules(*checks: Callable[[HookSubject], None]) -> tuple[Rule, ...]:
    return tuple(map(Rule, checks))


HOOK_RULES: Mapping[str, tuple[Rule, ...]] = {
    "degradation": _rules(record, settings, result, generator, input_unchanged, global_state),
    "metric": _rules(record, number, global_state),
    "loss": _rules(record, settings, scalar, points, global_state),
    "dataset": _rules(record, settings, examples, workers, global_state),
    "protocol": _rules(record, known_metrics, score),
    "checkpoint format": _rules(record, recognition),
}


def all_rules() -> Iterable[Rule]:
    """Each rule once."""
    return dict.fromkeys(rule for rules in HOOK_RULES.values() for rule in rules)
