"""A recipe fully determines a training run. It is validated as a whole before anything starts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
import yaml
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from toolbox.catalog import read_yaml
from toolbox.choice import Choice, OneOf
from toolbox.close_names import close_names, did_you_mean
from toolbox.config import Config, fault, located, validated
from toolbox.decoders.implicit import ImplicitDecoder
from toolbox.degradations.spec import DegradationSpec, listed
from toolbox.errors import SpecError, ToolboxError
from toolbox.registry import Registries
from toolbox.resolve import merged, resolve
from toolbox.restorer import Restorer
from toolbox.spec import ArchitectureSpec
from toolbox.training.settings import Budget, Clip, Optimizer, ScaleRange, Schedule, Validation
from toolbox.training.trackers import check_tracker
from toolbox.weights.file import describe_mismatch, find_weights, read_header
from toolbox.weights.find import ModelName


def _resolve_model(value: Any, info: ValidationInfo) -> Any:
    """Resolve a name of the catalog, a spec, or a mapping with a ``name`` and changes."""
    if isinstance(value, ArchitectureSpec):
        return value
    changes: Mapping[str, Any] = {}
    if isinstance(value, Mapping) and "name" in value:
        changes = {key: change for key, change in value.items() if key != "name"}
        value = value["name"]
    try:
        return resolve(value, registries=info.context, **changes)
    except ToolboxError as error:
        raise located((), str(error)) from None


ModelSpec = Annotated[ArchitectureSpec, BeforeValidator(_resolve_model)]


LossSpec = Annotated[Choice, OneOf("losses", "a loss", weighted=True)]
DatasetSpec = Annotated[Choice, OneOf("datasets", "a dataset")]


def _listed(value: Any) -> Any:
    """Return a list of at least one; a single value may stand alone."""
    if value in (None, [], ()):
        raise fault((), value, "at least one")
    return listed(value)


def _as_dataset(value: Any) -> Any:
    """Let a folder stand for its pictures, and two folders for their pairs."""
    if isinstance(value, (str, Path)):
        return {"name": "pictures", "folder": value}
    if isinstance(value, Mapping) and "name" not in value and value.keys() & {"clean", "degraded"}:
        return {"name": "pairs", **value}
    return value


class StartWeights(Config):
    """Initial weights. A name in a recipe means ``file``."""

    file: ModelName = Field(description="a weights file, or a name of the catalog or the hub (hf://user/repo)")
    only: Literal["encoder", "decoder"] | None = Field(
        default=None, description="the part of the network to load; by default all of it"
    )

    @model_validator(mode="before")
    @classmethod
    def _file(cls, data: Any) -> Any:
        return {"file": data} if isinstance(data, (str, Path)) else data


Tracker = Annotated[str, AfterValidator(check_tracker)]


def _no_is_no_boolean(value: Any) -> Any:
    """Undo that YAML reads a bare no as false."""
    return "no" if value is False else value


class Recipe(Config):
    """A training run: the network, the data, the method and the budget. Paths are relative to the current folder."""

    model: ModelSpec = Field(description="a name of the catalog, a spec, or {name: NAME} with changes to it")
    weights: StartWeights | None = Field(
        default=None, description="initial weights: a weights file, or a name of the catalog or the hub"
    )
    start: dict[str, float] = Field(default={}, description="factors by which initial parameters are multiplied")
    freeze: tuple[str, ...] = Field(
        default=(), description="parts that are not trained and stay in eval mode, such as encoder or encoder.blocks.0"
    )
    data: Annotated[tuple[Annotated[DatasetSpec, BeforeValidator(_as_dataset)], ...], BeforeValidator(_listed)] = Field(
        description="folders of clean pictures, pairs {clean: FOLDER, degraded: FOLDER}, or datasets by name"
    )
    degradation: Annotated[tuple[DegradationSpec, ...], BeforeValidator(listed)] = Field(
        default=(), description="degradations of each patch without a degraded partner, in this order"
    )
    scale: ScaleRange = ScaleRange(each=(1.0,))
    patch: int = Field(gt=0, description="pixels along a side of the degraded patch")
    points: int | None = Field(
        default=None, gt=0, description="output points that are computed of each patch; all unless given"
    )
    batch: int = Field(gt=0, description="patches in a batch, per process")
    accumulate: int = Field(default=1, gt=0, description="batches whose gradients make one step")
    loss: Annotated[tuple[LossSpec, ...], BeforeValidator(_listed)] = Field(
        default="l1", validate_default=True, description="a loss, or several to sum up, each with its weight"
    )
    state_weight: float = Field(
        default=1.0,
        ge=0,
        description="weight of each state before the last in the loss of a network that gives all its states; "
        "the last one has 1",
    )
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    clip: Clip | None = None
    average: float = Field(default=0.999, ge=0, lt=1, description="decay of the moving average of the weights (EMA)")
    precision: Annotated[Literal["no", "bf16", "fp16"] | None, BeforeValidator(_no_is_no_boolean)] = Field(
        default=None, description="precision of the arithmetic; that of `accelerate launch` unless given"
    )
    budget: Budget
    validation: Validation | None = None
    trackers: Annotated[tuple[Tracker, ...] | None, BeforeValidator(listed)] = Field(
        default=None,
        description="trackers that get the log beside log.csv: tensorboard, trackio, wandb; [] is none. "
        "Unless given, tensorboard where it is installed",
    )
    seed: int = Field(default=0, ge=0)
    author: str | None = Field(default=None, description="whom the header of the weights file names as their author")
    license: str | None = Field(default=None, description="license of the weights, for the header, such as CC-BY-4.0")

    @model_validator(mode="after")
    def _check_model(self, info: ValidationInfo) -> Self:
        with torch.device("meta"):  # so that nothing is computed or allocated
            restorer = Restorer(self.model)
        names = dict(restorer.named_parameters())
        if not names:
            raise located(("model",), "has no weights to train; choose another architecture")
        if self.model.decoded_channels != self.model.channels:
            raise located(
                ("model",), f"gives {self.model.decoded_channels} channels for {self.model.channels}, expected as many"
            )
        if self.weights is not None:
            registries: Registries = info.context  # type: ignore[assignment]  # read_recipe gives them
            _check_fit(self.weights, restorer, registries)
        for name in self.start:
            if name not in names:
                close = close_names(name, names) or sorted(names)[:3]
                raise located(("start", name), f"unknown parameter; did you mean {', '.join(close)}?")
        _check_parts(self, names)
        own = {"same": 1.0}.get(str(restorer.sizes), restorer.sizes)
        if own != "any" and self.scale.each != (float(own),):
            raise fault(("scale",), self.scale.model_dump(exclude_none=True), f"{own}, the only one of this decoder")
        if self.points is not None and not isinstance(restorer.decoder, ImplicitDecoder):
            raise fault(("points",), self.points, f"none, since decoder {self.model.decoder.name!r} gives whole images")
        if not self.degradation and any(each.info.name == "pictures" for each in self.data):
            raise fault(("degradation",), [], "at least one, since clean pictures have no degraded partners")
        return self

    @model_validator(mode="after")
    def _check_losses(self) -> Self:
        smallest = round(self.patch * min(self.scale.each or self.scale.between or ()))
        for number, loss in enumerate(self.loss):
            if self.points is not None and not loss.info.config.pointwise:
                raise fault(("points",), self.points, f"none, since the loss {loss.info.name!r} compares whole patches")
            if smallest < loss.info.config.smallest:
                raise located(
                    ("loss", number),
                    f"{loss.info.name!r} compares patches of at least {loss.info.config.smallest} pixels a side, "
                    f"got {smallest}; take a larger patch",
                )
        return self

    @property
    def batches(self) -> int:
        """The batches of each process in one step."""
        return self.accumulate * len(self.scale.each or (1,))

    def plain(self, *, names_alone: bool = False, **more: Any) -> dict[str, Any]:
        """The recipe as JSON data, on request with only the names of paths."""

        def written(value: Any) -> Any:
            if isinstance(value, Path):
                return value.resolve().name if names_alone else str(value)
            if isinstance(value, Mapping):
                return {key: written(each) for key, each in value.items()}
            return [written(each) for each in value] if isinstance(value, (list, tuple)) else value

        data: dict[str, Any] = written(self.model_dump(**more))
        return data


def _check_parts(recipe: Recipe, names: Collection[str]) -> None:
    """Refuse parts to freeze, or to give a rate, that have no weights."""
    parts = {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}
    for path, asked, choices in (
        (("freeze",), recipe.freeze, parts),
        (("optimizer", "rates"), recipe.optimizer.rates, parts | {"loss"}),
    ):
        for name in asked:
            if name not in choices:
                close = did_you_mean(name, choices) or f"expected one such as {', '.join(sorted(choices)[:3])}"
                raise located(path, f"got {name!r}, no part with weights; {close}")
    if all(is_part(name, recipe.freeze) for name in names):
        raise located(("freeze",), "leaves nothing to train; leave a part out")


def is_part(name: str, parts: Iterable[str]) -> bool:
    """Whether a parameter belongs to one of these parts."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def _check_fit(weights: StartWeights, restorer: Restorer, registries: Registries) -> None:
    try:
        shapes = read_header(find_weights(weights.file, registries)).shapes
    except ToolboxError as error:
        raise located(("weights",), str(error)) from None
    expected = {name: tuple(tensor.shape) for name, tensor in restorer.state_dict().items()}
    if weights.only is not None:
        shapes, expected = (
            {name: shape for name, shape in each.items() if is_part(name, [weights.only])}
            for each in (shapes, expected)
        )
    if mismatch := describe_mismatch(shapes, expected):
        hint = "" if weights.only else "; `only: encoder` takes a part of them"
        raise located(("weights",), f"{weights.file} does not fit the model: {mismatch}{hint}")


def read_recipe(path: Path, overrides: Sequence[str], registries: Registries) -> Recipe:
    """Read the recipe of a YAML file, changed by overrides such as ``optimizer.lr=1e-4``.

    Raises:
        SpecError: the file cannot be read or is wrong; the message has the path to the fault.
    """
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise SpecError(f"{path}: expected a mapping with the keys of a recipe")
    data = _spelled_out(data)
    if isinstance(data.get("weights"), str):
        data["weights"] = {"file": data["weights"]}
    for override in overrides:
        data = merged(data, _spelled_out(_parse_override(override)))
    return validated(Recipe, data, registries, str(path))


def _spelled_out(data: dict[str, Any]) -> dict[str, Any]:
    """Write out the names of datasets, so that another dataset is no change of settings."""
    if "data" not in data or isinstance(data["data"], list):
        return data
    return {**data, "data": _as_dataset(data["data"])}


def _parse_override(text: str) -> dict[str, Any]:
    """``a.b=VALUE`` → {"a": {"b": VALUE}}, the value read as YAML; 1e-3 is a number, though YAML wants 1.0e-3."""
    key, separator, written = text.partition("=")
    if not (key and separator):
        raise SpecError(f"got {text!r}, expected KEY=VALUE, such as optimizer.lr=0.001")
    try:
        value = yaml.safe_load(written)
    except yaml.YAMLError:
        raise SpecError(f"got {text!r}, expected a value that is YAML") from None
    for step in reversed(key.split(".")):
        value = {step: value}
    return value
