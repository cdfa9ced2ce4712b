"""Weights files: one safetensors file with spec and provenance in its header."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.overrides import TorchFunctionMode

from toolbox.discovery import in_use, installed
from toolbox.errors import PluginError, SpecError, WeightsError
from toolbox.files import is_file, written_beside
from toolbox.hub import check_no_url, did_you_mean_hub, fetch, is_hub_name, source_of
from toolbox.registry import Registries
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.spec import ArchitectureSpec
from toolbox.weights.modelspec import hash_of, modelspec_of

FORMAT = 1
HEADER_LIMIT = 4 * 2**20  # bytes; our networks need a few thousand, one of a hundred thousand tensors does not fit
SPEC_LIMIT = 64 * 2**10  # characters; our specs have about a thousand
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)  # types that a network computes in


@dataclass(frozen=True)
class Header:
    """The header of a weights file."""

    spec: dict[str, Any]
    plugins: dict[str, str]  # the plugins that it needs, with their versions at the time of writing
    training: dict[str, Any]  # data, time and score of the training; empty if unknown
    shapes: dict[str, tuple[int, ...]]


def save(restorer: Restorer, path: str | Path) -> None:
    """Write a restorer's weights with its complete spec, the plugins it needs and its training record.

    Raises:
        WeightsError: the file cannot be written; what was there before is untouched.
    """
    metadata = metadata_of(restorer, path)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in restorer.state_dict().items()}
    try:
        with written_beside(Path(path)) as partial:
            save_file(tensors, partial, {**metadata, **hash_of(tensors)})
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot be written: {_reason(error)}") from None


def metadata_of(restorer: Restorer, path: str | Path) -> dict[str, str]:
    """The texts in the header of a file at ``path``: the spec, the plugins, the training record, and those for others.

    Raises:
        WeightsError: they do not fit in a header.
    """
    providers = sorted({part.info.provider for part in restorer.spec.parts()})
    spec = restorer.spec.trained().to_json()
    if len(spec) > SPEC_LIMIT:
        raise WeightsError(f"{path}: cannot be written: its spec has {len(spec)} characters, more than {SPEC_LIMIT}")
    metadata = {
        "toolbox.format": str(FORMAT),
        "toolbox.spec": spec,
        "toolbox.plugins": json.dumps({name: installed().versions.get(name, "unknown") for name in providers}),
    }
    if restorer.training_record:
        try:
            metadata["toolbox.training"] = json.dumps(restorer.training_record)
        except (TypeError, ValueError) as error:
            raise WeightsError(f"{path}: cannot be written: its training record is not JSON: {error}") from None
    return metadata | modelspec_of(restorer)


def load(path_or_name: str | Path, *, registries: Registries | None = None) -> Restorer:
    """Load a trained restorer in eval mode, from a weights file or by the name of an architecture with weights.

    ``hf://user/repo[@revision][/file]`` names a weights file on the Hugging Face Hub, which is downloaded once.

    Raises:
        WeightsError: the architecture has no weights, or the file is unreadable, needs a plugin
            that is not active, or its tensors do not fit its spec, or the hub does not give it.
        UnknownComponent: there is no such file or name.
    """
    registries = in_use(registries)
    if (restorer := _without_parameters(path_or_name, registries)) is not None:
        return restorer
    path = find_weights(path_or_name, registries)
    header = read_header(path)
    spec = checked_spec(path, header, registries)
    _check_shapes(path, header.shapes, spec)
    with torch.random.fork_rng(devices=[]):  # building draws weights, but the caller's random state must stay
        restorer = Restorer(spec)
    tensors = read_tensors(path)
    ours = restorer.state_dict()
    if wrong := sorted(key for key in ours if (tensors[key].dtype in FLOATS) != (ours[key].dtype in FLOATS)):
        types = [f"{key} ({str(tensors[key].dtype).removeprefix('torch.')})" for key in wrong]
        raise WeightsError(f"{path}: its tensors do not fit its spec: of another type {_listed(types)}")
    floats = [tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()]
    restorer.to(floats[0] if floats else torch.get_default_dtype()).load_state_dict(tensors)
    restorer.training_record, restorer.source = header.training, source_of(path)
    return restorer.eval()


def _without_parameters(path_or_name: str | Path, registries: Registries) -> Restorer | None:
    """The restorer of an architecture that has nothing to train, such as bicubic."""
    name = str(path_or_name)
    if is_file(Path(name)) or name not in registries.architectures or not has_nothing_to_train(name, registries):
        return None
    return Restorer(resolve(name, registries=registries)).eval()


def has_nothing_to_train(name: str, registries: Registries) -> bool:
    """Whether an architecture without weights has no parameters either, such as bicubic."""
    architecture = registries.architectures[name]
    if architecture.weights is not None:
        return False
    spec = resolve(name, registries=registries)
    with torch.device("meta"):
        return next(Restorer(spec).parameters(), None) is None


def find_weights(path_or_name: str | Path, registries: Registries) -> Path:
    """The weights file of a path, or of a name of the catalog or the hub. The errors are those of ``load``."""
    path, name = Path(path_or_name), str(path_or_name)
    if is_file(path):
        return path
    if is_hub_name(name):
        return fetch(name)
    check_no_url(name)
    if path.suffix or len(path.parts) > 1:
        hint = did_you_mean_hub(name)
        raise WeightsError(f"{path}: no such weights file" + (f"; {hint}" if hint else ""))
    architecture = registries.architectures[name]
    if architecture.weights is None:
        others = ", ".join(runnable_like(architecture.name, registries))
        raise WeightsError(
            f"{architecture.name!r} ships without weights; give the path of a weights file, "
            + (f"use one for this task that has them ({others}), " if others else "")
            + "or build it untrained with toolbox.build"
        )
    weights = architecture.weights
    return weights if isinstance(weights, Path) else fetch(weights)


def runnable_like(name: str, registries: Registries) -> list[str]:
    """The architectures with weights that do the task of an architecture: keep the size of a picture, or change it."""

    def keeps_size(each: str) -> bool:
        return resolve(each, registries=registries).decoder.config.sizes() == "same"

    own = keeps_size(name)
    return [each.name for each in registries.architectures if each.weights is not None and keeps_size(each.name) == own]


def read_header(path: Path) -> Header:
    """Read the header of a weights file, without its tensors.

    Raises:
        WeightsError: the file cannot be read, is cut off, or is not a weights file of ours.
    """
    try:
        _check_length(path)
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118  # no mapping
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file: {_reason(error)}") from None
    return header_from(path, metadata, shapes)


def header_from(path: Path, metadata: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]) -> Header:
    """The header in the texts of a file, whose tensors have those shapes.

    Raises:
        WeightsError: the texts are not those of a file of ours.
    """
    if "toolbox.format" not in metadata or "toolbox.spec" not in metadata:
        raise WeightsError(f"{path}: no spec in its header; expected a file that Toolbox wrote")
    if (number := metadata["toolbox.format"]) != str(FORMAT):
        raise WeightsError(
            f"{path}: got format {printable(number, 20)!r}, expected {FORMAT}; upgrade toolbox to read it"
        )
    if len(metadata["toolbox.spec"]) > SPEC_LIMIT:
        raise WeightsError(
            f"{path}: its spec has {len(metadata['toolbox.spec'])} characters, expected {SPEC_LIMIT} at most"
        )
    spec, plugins, training = (
        _json_object(path, key, metadata.get(key, "{}"))
        for key in ("toolbox.spec", "toolbox.plugins", "toolbox.training")
    )
    return Header(spec, plugins, training, dict(shapes))


def read_metadata(path: Path) -> dict[str, str]:
    """Read the texts in the header of a safetensors file of any kind.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        _check_length(path)
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file: {_reason(error)}") from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read every tensor of a safetensors file.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        _check_length(path)
        with safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no mapping
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file: {_reason(error)}") from None


def describe_mismatch(given: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> str | None:
    """The missing, unexpected and misshapen tensors, sorted; None if everything fits."""
    complaints = []
    if missing := sorted(expected.keys() - given.keys()):
        complaints.append(f"missing {_listed(missing)}")
    if unexpected := sorted(given.keys() - expected.keys()):
        complaints.append(f"unexpected {_listed(unexpected)}")
    shapes = [
        f"{key} (got {list(given[key])}, expected {list(expected[key])})"
        for key in sorted(given.keys() & expected.keys())
        if tuple(given[key]) != tuple(expected[key])
    ]
    if shapes:
        complaints.append(f"of another shape {_listed(shapes)}")
    return "; ".join(complaints) or None


def checked_spec(path: Path, header: Header, registries: Registries) -> ArchitectureSpec:
    """The spec of a file, valid with these registries.

    Raises:
        WeightsError: one of its plugins is not active, or the spec is invalid.
    """
    for plugin, version in sorted(header.plugins.items()):
        if plugin not in registries.versions:
            why = registries.why_inactive(plugin)
            needed = printable(f"{plugin} (written with version {version})")
            raise WeightsError(f"{path}: needs plugin {needed}, but {why}")
    try:
        # The weights are in this file, so the header cannot make Toolbox fetch any.
        return resolve(header.spec, registries=registries).trained()
    except SpecError as error:
        raise WeightsError(f"{path}: the spec in its header is not valid here: {printable(str(error))}") from None


def _check_shapes(path: Path, shapes: Mapping[str, tuple[int, ...]], spec: ArchitectureSpec) -> None:
    try:
        # Shapes only, so that a wrong spec allocates nothing.
        with torch.device("meta"), _AtMost(1000 + 50 * len(shapes)):
            expected = {key: tuple(tensor.shape) for key, tensor in Restorer(spec).state_dict().items()}
    except _TooManyError:
        raise WeightsError(f"{path}: its spec describes a far larger network than its {len(shapes)} tensors") from None
    # Torch raises these for sizes beyond any address space, and a component's build blames its plugin for them.
    except (PluginError, RuntimeError, TypeError, OverflowError) as error:
        cause = error.__cause__ if isinstance(error, PluginError) else error
        if not isinstance(cause, (RuntimeError, TypeError, OverflowError)):
            raise
        reason = str(cause).split("\n", 1)[0]
        raise WeightsError(f"{path}: the network of the spec in its header cannot be built: {reason}") from None
    if complaint := describe_mismatch(shapes, expected):
        raise WeightsError(f"{path}: its tensors do not fit its spec: {complaint}")


class _TooManyError(BaseException):
    """No Exception, so that no component catches it and none is blamed for it."""


class _AtMost(TorchFunctionMode):
    """Stops building a network after so many torch calls that return a tensor; a proper network needs only a few.

    It raises once, and only in a call that returns a tensor: other calls restore what ``no_grad`` changed.
    """

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.left -= 1
            if self.left == 0:
                raise _TooManyError
        return result


def _check_length(path: Path) -> None:
    """Refuse a file whose first eight bytes claim an impossible header, before anything allocates it."""
    length = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
    claimed = int.from_bytes(first, "little")
    if len(first) < 8 or claimed > length - 8:
        raise WeightsError(
            f"{path}: not a readable safetensors file: it has {length} bytes, its header claims {claimed}; "
            "it is cut off or of another format"
        )
    if claimed > HEADER_LIMIT:
        raise WeightsError(f"{path}: its header claims {claimed} bytes, expected at most {HEADER_LIMIT}")


def _json_object(path: Path, key: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise WeightsError(f"{path}: {key} in its header is not a JSON object")
    return value


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else printable(str(error))


def printable(text: str, most: int = 1000) -> str:
    """Text from a file on one line, without control characters, cut to a helpful length."""
    text = text if text.isprintable() else text.encode("unicode_escape").decode()
    return text if len(text) <= most else f"{text[:most]}…"


def _listed(names: Iterable[str], most: int = 8) -> str:
    names = [printable(name, 100) for name in names]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
