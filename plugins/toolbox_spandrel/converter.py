"""Checkpoints of every architecture that spandrel knows, for which Toolbox has no format of its own."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from toolbox.plugin import Checkpoint, Config, Conversion, ConverterInfo, TensorSource, WeightsError
from toolbox_spandrel import library


class SpandrelHints(Config):
    """No settings: spandrel finds them all."""


class _Copies(TorchFunctionMode):
    """Remembers from which tensor each parameter and buffer was filled."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: dict[int, tuple[Tensor, Tensor]] = {}  # both kept alive, because new tensors could get their ids

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is Tensor.copy_:
            self.pairs[id(args[0])] = args[0], args[1]
        return function(*args, **(kwargs or {}))


def _recognize(checkpoint: Checkpoint) -> bool:
    # Without spandrel nobody knows; the plan then says how to find out.
    return not library.is_installed() or _support(checkpoint) is not None


def _support(checkpoint: Checkpoint) -> Any:
    """The support that spandrel has for the architecture of these tensors, or None."""
    tensors = library.library().canonicalize_state_dict(dict(checkpoint.tensors))
    return next((each for each in library.supports().values() if each.detect(tensors)), None)


def _plan(checkpoint: Checkpoint, hints: SpandrelHints) -> Conversion:
    if not library.is_installed():
        raise WeightsError(f"no other format fits, and spandrel, which may know it, {library.INSTALL}")
    support = _support(checkpoint)
    if support is None:
        raise WeightsError("spandrel knows no architecture with such tensors")
    architecture = str(support.architecture.id)
    tensors = library.library().canonicalize_state_dict(dict(checkpoint.tensors))
    try:
        with torch.random.fork_rng(devices=[]), library.quiet(), _Copies() as copies:
            descriptor = support.architecture.load(tensors)
    # Each architecture refuses tensors that it does not expect in its own way.
    except Exception as error:
        raise WeightsError(f"spandrel takes it for {architecture}, but cannot load it: {_reason(error)}") from None
    if not isinstance(descriptor, library.library().ImageModelDescriptor):
        raise WeightsError(f"{architecture} needs a mask beside the picture, which Toolbox does not give")
    names = {id(tensor): name for name, tensor in checkpoint.tensors.items()}
    sources: dict[str, str | TensorSource] = {}
    for name, tensor in descriptor.model.state_dict(keep_vars=True).items():
        if name.endswith("num_batches_tracked"):  # has no use after training
            continue
        _, origin = copies.pairs.get(id(tensor), (tensor, tensor))
        sources[f"encoder.network.{name}"] = names.get(id(origin)) or _made(origin.detach())
    used = {source for source in sources.values() if isinstance(source, str)}
    return Conversion(_spec(architecture, descriptor), sources, frozenset(checkpoint.tensors.keys() - used))


def _reason(error: Exception) -> str:
    """The reason of a failed load in one line, in our words where they are PyTorch's."""
    if isinstance(error, KeyError):
        return f"missing {error.args[0]}"
    text = " ".join(str(error).split()).replace('"', "") or type(error).__name__
    text = re.sub(r"^Error\(s\) in loading state_dict for \w+: ", "", text)
    text = re.sub(r"(Missing|Unexpected) key\(s\) in state_dict: ", lambda found: f"{found[1].lower()} ", text)
    return text[:300].rstrip(". ")


def _made(tensor: Tensor) -> TensorSource:
    """A tensor that spandrel made itself, of others or of none."""
    return TensorSource((), (), lambda: tensor)


def _spec(architecture: str, descriptor: Any) -> dict[str, Any]:
    network = type(descriptor.model)
    defaults = {name: each.default for name, each in library.settings_of(network).items()}
    settings = {name: value for name, value in descriptor.model.hyperparameters.items() if name in defaults}
    for name, value in settings.items():
        if not library.is_plain(value) and value is not defaults[name]:
            raise WeightsError(f"the setting {name}={value!r} of {architecture} cannot be written into a spec")
    scale, channels = descriptor.scale, descriptor.output_channels
    return {
        "summary": f"converted from a checkpoint of {descriptor.architecture.name}, ×{scale}",
        "channels": descriptor.input_channels,
        **({} if channels == descriptor.input_channels else {"output_channels": channels}),
        "encoder": {
            "name": "spandrel",
            "architecture": architecture,
            "network": network.__name__,
            "hyperparameters": {name: value for name, value in settings.items() if library.is_plain(value)},
            "gives": "pixels",
        },
        "decoder": "features" if scale == 1 else {"name": "depth-to-space", "scale": scale},
    }


SPANDREL_FORMAT = ConverterInfo(
    name="spandrel",
    recognize=_recognize,
    plan=_plan,
    hints=SpandrelHints,
    summary="checkpoints of any architecture of the spandrel library, if no other format fits",
    url="https://github.com/chaiNNer-org/spandrel",
    fallback=True,
)
