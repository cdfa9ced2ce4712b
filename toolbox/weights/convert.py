"""Turn a published checkpoint into a restorer, tensor by tensor, and name every difference."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toolbox.blame import blamed, broken
from toolbox.config import validated
from toolbox.conversion import Checkpoint, Conversion, TensorSource
from toolbox.discovery import PluginWarning, in_use
from toolbox.errors import SpecError, WeightsError
from toolbox.records import ConverterInfo
from toolbox.registry import Registries
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.weights.file import describe_mismatch
from toolbox.weights.published import checkpoint_of, read_checkpoint


@dataclass(frozen=True)
class Recognized:
    """A checkpoint with its recognized format, and the plan of its conversion."""

    origin: str  # name of the file in error messages
    checkpoint: Checkpoint
    converter: ConverterInfo
    conversion: Conversion

    def refusal(self, reason: str) -> WeightsError:
        """An error that names the file, the format and the reason."""
        return WeightsError(f"{self.origin} as {self.converter.name}: {reason}")


def convert(source: str | Path | Mapping[str, Any], *, format: str | None = None, **hints: Any) -> Restorer:  # noqa: A002  # the word a user looks for
    """Convert a published checkpoint to a restorer in eval mode.

    Args:
        source: a path (.safetensors, .npz, .pt, .pth, .ckpt, or a TensorFlow checkpoint's prefix), or
            the tensors or arrays themselves by their published names.
        format: the name of a converter; by default Toolbox recognizes it.
        hints: settings that the checkpoint leaves open; each format has its own, such as
            ``propagation="accumulate"`` for ``nlrn-tf``.

    Raises:
        WeightsError: the checkpoint cannot be read, is of no known format, needs a hint, or has
            missing, unexpected or misshapen tensors.
        SpecError: a hint is unknown or has a wrong value.
    """
    return build_converted(recognize(source, format=format, hints=hints))


def build_converted(recognized: Recognized) -> Restorer:
    """Build the restorer of a recognized checkpoint, with its weights. The errors are those of ``convert``."""
    conversion, tensors = recognized.conversion, recognized.checkpoint.tensors
    try:
        spec = resolve(conversion.spec)
    except SpecError as error:
        raise recognized.refusal(f"its network cannot be built: {error}") from None
    with torch.random.fork_rng(devices=[]):
        restorer = Restorer(spec)
    expected = {key: tensor for key, tensor in restorer.state_dict().items() if not key.endswith("num_batches_tracked")}
    if lacking := sorted(expected.keys() - conversion.sources.keys()):
        raise recognized.refusal(f"its shapes fit no published network; it has nothing for {', '.join(lacking)}")
    sources = {key: _source(conversion.sources[key], expected[key]) for key in expected}
    _check(recognized, sources)
    with blamed(f"format {recognized.converter.name!r}", recognized.converter.provider):
        state = {key: source.join(*(tensors[name] for name in source.names)) for key, source in sources.items()}
        restorer.load_state_dict(state, strict=False)  # all but the counters of batch norm, checked above
    restorer.training_record = {"converted_from": recognized.converter.name}
    if recognized.converter.license:
        restorer.training_record["license"] = recognized.converter.license
    return restorer.eval()


def recognize(
    source: str | Path | Mapping[str, Any],
    *,
    format: str | None = None,  # noqa: A002  # the word a user looks for
    hints: Mapping[str, Any],
    registries: Registries | None = None,
) -> Recognized:
    """Read a checkpoint and plan its conversion, without building it. The errors are those of ``convert``."""
    registries = in_use(registries)
    origin = "the given tensors" if isinstance(source, Mapping) else str(source)
    checkpoint = checkpoint_of(source, origin) if isinstance(source, Mapping) else read_checkpoint(Path(source))
    if format is not None:
        converter = registries.converters[format]
    else:
        fitting = formats_of(checkpoint, registries)
        if len(fitting) != 1:
            names = ", ".join(each.name for each in fitting or registries.converters)
            fault = "its names fit several formats" if fitting else "its names fit no known format"
            raise WeightsError(f"{origin}: {fault} ({names}); give the format if you know it")
        converter = fitting[0]
    what = f"format {converter.name!r}"
    with blamed(f"the hints of {what}", converter.provider):
        settings = validated(converter.hints, hints, registries, f"hints for {converter.name}")
    try:
        with blamed(what, converter.provider):
            conversion = converter.plan(checkpoint, settings)
    except WeightsError as error:
        raise WeightsError(f"{origin} as {converter.name}: {error}") from None
    if not isinstance(conversion, Conversion):
        raise broken(what, converter.provider, f"a {type(conversion).__name__}", "a Conversion")
    if not isinstance(conversion.spec, Mapping):
        raise broken(what, converter.provider, f"the spec {conversion.spec!r}", "a mapping")
    if not isinstance(conversion.sources, Mapping):
        raise broken(what, converter.provider, f"the sources {conversion.sources!r}", "a mapping")
    for name, each in conversion.sources.items():
        if not isinstance(each, str) and not (isinstance(each, TensorSource) and _is_complete(each)):
            raise broken(what, converter.provider, f"the source {each!r} of {name}", "a name or a TensorSource")
    return Recognized(origin, checkpoint, converter, conversion)


def formats_of(checkpoint: Checkpoint, registries: Registries) -> list[ConverterInfo]:
    """The formats that recognize a checkpoint; a fallback is asked only if no other one does."""
    for fallback in (False, True):
        asked = (each for each in registries.converters if each.fallback == fallback)
        if fitting := [each for each in asked if _recognizes(each, checkpoint)]:
            return fitting
    return []


def _is_complete(source: TensorSource) -> bool:
    """Whether a source has a shape for every name."""
    fields = (source.names, source.shapes)
    return all(isinstance(each, (tuple, list)) for each in fields) and len(source.names) == len(source.shapes)


def _recognizes(converter: ConverterInfo, checkpoint: Checkpoint) -> bool:
    try:
        return converter.recognize(checkpoint)
    # A third-party converter sees files that its author never saw.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        warnings.warn(
            f"format {converter.name} of plugin {converter.provider} is passed over: {reason}",
            PluginWarning,
            stacklevel=2,
        )
        return False


def _source(source: str | TensorSource, ours: Tensor) -> TensorSource:
    if isinstance(source, TensorSource):
        return source
    return TensorSource((source,), (tuple(ours.shape),), lambda tensor: tensor)


def _check(recognized: Recognized, sources: Mapping[str, TensorSource]) -> None:
    needed = {
        name: shape for source in sources.values() for name, shape in zip(source.names, source.shapes, strict=True)
    }
    given = {
        name: tuple(tensor.shape)
        for name, tensor in recognized.checkpoint.tensors.items()
        if name not in recognized.conversion.ignored
    }
    if complaint := describe_mismatch(given, needed):
        raise recognized.refusal(complaint)
    for name in needed:
        if not recognized.checkpoint.tensors[name].isfinite().all():
            raise recognized.refusal(f"{name} has values that are not finite")
