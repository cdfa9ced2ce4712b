"""The spandrel library: its networks by name, built from settings, and described without their weights."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

INSTALL = "is not installed; pip install 'toolbox-restoration[spandrel]'"
OURS = "Toolbox"  # the architecture that toolbox.integrations.spandrel adds to spandrel's
LARGEST = 2**30  # parameters of a network that is built only to describe it


@dataclass(frozen=True)
class Facts:
    """The facts about a network that spandrel finds in its tensors."""

    scale: int
    channels: int  # of the picture
    output_channels: int
    minimum: int  # pixels along each side
    multiple: int  # both sides must be multiples of it
    square: bool
    call: Callable[[Any, Tensor], Tensor]  # the network on a picture


def is_installed() -> bool:
    """Whether spandrel can be imported; it is not imported to find out."""
    return importlib.util.find_spec("spandrel") is not None


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of spandrel and torchvision about their own old code, which a user cannot repair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def library() -> Any:
    """The package spandrel.

    Raises:
        ValueError: it is not installed.
    """
    if not is_installed():
        raise ValueError(f"spandrel {INSTALL}")
    with quiet():
        return importlib.import_module("spandrel")


def supports() -> dict[str, Any]:
    """The support that spandrel has for each architecture, in the order in which it looks for them."""
    ordered = library().MAIN_REGISTRY.architectures("detection")
    return {str(each.architecture.id): each for each in ordered if each.architecture.id != OURS}


def networks_of(architecture: str) -> dict[str, type[nn.Module]]:
    """The classes of an architecture by name; most have one, and a few one for each size or scale."""
    module = importlib.import_module(type(supports()[architecture].architecture).__module__)
    classes = (each for each in vars(module).values() if isinstance(each, type) and issubclass(each, nn.Module))
    return {each.__name__: each for each in classes if hasattr(each, "hyperparameters")}


def settings_of(network: type[nn.Module]) -> Mapping[str, inspect.Parameter]:
    """The parameters of the constructor of a network."""
    parameters = inspect.signature(network.__init__).parameters
    return {name: parameter for name, parameter in parameters.items() if name != "self"}


def is_plain(value: object) -> bool:
    """Whether a value is JSON, so that it can be a part of a spec."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def build(network: type[nn.Module], settings: Mapping[str, Any]) -> nn.Module:
    """Build a network, on the meta device too, for which some of spandrel's constructors are not written."""
    if torch.get_default_device().type != "meta":
        with quiet():
            return network(**settings)
    try:
        with quiet(), _OnMeta():
            return network(**settings)
    except RuntimeError:  # tensors on two devices; those of another fault fail again
        with torch.device("cpu"), torch.random.fork_rng(devices=[]), quiet():
            return network(**settings).to("meta")


class _OnMeta(TorchFunctionMode):
    """Lets constructors read numbers from ``linspace``, and assign data without a device to tensors that have none."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is torch.linspace:
            kwargs = {**kwargs, "device": "cpu"}
        elif function == Tensor.data.__set__ and args[0].is_meta:  # type: ignore[attr-defined]  # a descriptor
            args = (args[0], args[1].to("meta"))
        return function(*args, **kwargs)


@functools.lru_cache(maxsize=256)
def facts(architecture: str, network: str, settings: str) -> Facts:
    """The facts about the network of these settings, which are JSON.

    Raises:
        ValueError: there is no such network, or it is none that turns a picture into a picture.
    """
    kind = networks_of(architecture)[network]
    try:
        descriptor = _described(architecture, kind, json.loads(settings))
    # Each constructor refuses settings in its own way.
    except Exception as error:
        reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
        raise ValueError(f"spandrel cannot build {network!r} with these settings: {reason}") from None
    if not isinstance(descriptor, library().ImageModelDescriptor):
        raise ValueError(  # noqa: TRY004  # a fault of the settings
            f"spandrel's {architecture!r} needs a mask beside the picture, expected one that needs none"
        )
    needs = descriptor.size_requirements
    return Facts(
        scale=descriptor.scale,
        channels=descriptor.input_channels,
        output_channels=descriptor.output_channels,
        minimum=needs.minimum,
        multiple=needs.multiple_of,
        square=needs.square,
        # It has no public name, and the public call clamps the result and computes no gradients.
        call=descriptor._call_fn,
    )


def _described(architecture: str, network: type[nn.Module], settings: Mapping[str, Any]) -> Any:
    """The description that spandrel has of a network, found without memory for it unless spandrel reads values."""
    load = supports()[architecture].architecture.load
    with torch.device("meta"):
        built = build(network, settings)
        try:
            with quiet(), _OnMeta():
                return load(dict(built.state_dict()))
        except (RuntimeError, NotImplementedError):  # a value that a tensor on the meta device does not have
            if sum(each.numel() for each in built.parameters()) > LARGEST:
                raise
    with torch.device("cpu"), torch.random.fork_rng(devices=[]), quiet():
        return load(dict(build(network, settings).state_dict()))
