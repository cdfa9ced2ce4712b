"""timm's backbones: their names, their feature maps, and first weights without unpickling."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import lcm
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from toolbox.close_names import did_you_mean
from toolbox.errors import WeightsError

# Arguments that let a timm model take any size.
ANY_SIZE: tuple[dict[str, bool], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})
WINDOWS = (1, 7, 8, 12, 14, 16)  # sides of attention windows; the coarsest map may have to be a multiple of one
SAFE = "model.safetensors"  # name of the file in timm's repositories


@dataclass(frozen=True)
class Facts:
    """Facts about a backbone, found by running it on tensors without data."""

    channels: tuple[int, ...]  # of each map
    strides: tuple[int, ...]
    step: int  # height and width must be multiples of it
    channels_last: bool  # maps are (B, H, W, C)


@dataclass(frozen=True)
class Stages:
    """The feature maps of a model, as timm numbers them."""

    count: int
    usual: tuple[int, ...]  # timm's choice by default
    settings: tuple[tuple[str, bool], ...]  # arguments for timm that let the model take any size


def unknown(model: str) -> str | None:
    """A sentence with close names if timm has no such model, else None.

    It only compares names and builds nothing. The prefixes by which timm reads a hub or a folder are no names.
    """
    import timm

    if not timm.is_model(model):
        names = timm.list_models()
        remedy = did_you_mean(model, names) or f"expected one of its {len(names)}"
        return f"timm has no model {model!r}; {remedy}"
    try:
        timm.get_pretrained_cfg(model)
    except RuntimeError:
        name, _, tag = model.partition(".")
        tags = [each.partition(".")[2] for each in timm.list_pretrained(f"{name}.*")]
        return f"timm has no weights {tag!r} of {name!r}, expected one of {', '.join(tags) or 'none'}"
    return None


@functools.lru_cache(maxsize=256)
def stages_of(model: str) -> Stages:
    """The feature maps of a model.

    Raises:
        ValueError: the model has none.
    """
    reason: Exception
    for settings in ANY_SIZE:
        try:
            with _without_data():
                network = _create(model, **settings)
        except Exception as error:  # each family of models refuses unknown arguments in its own way
            reason = error
        else:
            info = network.feature_info
            return Stages(len(info.info), tuple(info.out_indices), tuple(settings.items()))
    raise _no_maps(model, reason)


@functools.lru_cache(maxsize=256)
def facts(model: str, stages: tuple[int, ...]) -> Facts:
    """The facts about the backbone of these stages.

    Raises:
        ValueError: the backbone does not give such maps for pictures of any size.
    """
    with _without_data():
        try:
            network = _create(model, out_indices=stages, **dict(stages_of(model).settings)).eval()
        except Exception as error:
            raise _no_maps(model, error) from None
        channels, strides = tuple(network.feature_info.channels()), tuple(network.feature_info.reduction())
        for window in WINDOWS:
            step = window * lcm(*strides)
            for channels_last in (False, True):
                if _gives(network, step, channels, strides, channels_last):
                    return Facts(channels, strides, step, channels_last)
    raise ValueError(
        f"timm's {model!r} takes pictures of its own size only, expected one that takes any; "
        "choose another model, such as 'resnet18'"
    )


def _no_maps(model: str, reason: Exception) -> ValueError:
    sentence = str(reason).split("\n", 1)[0]
    return ValueError(f"timm's {model!r} gives no feature maps ({sentence}); choose another model, such as 'resnet18'")


@contextmanager
def _without_data() -> Iterator[None]:
    """Compute nothing inside, so that nothing is allocated."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from timm's initialization, which has nothing to initialize here
        yield


def _gives(network: Any, step: int, channels: tuple[int, ...], strides: tuple[int, ...], channels_last: bool) -> bool:
    """Whether a picture of 2 × 3 steps gives maps with the declared channels and sizes."""
    try:
        with torch.no_grad():
            maps = network(torch.empty(1, 3, 2 * step, 3 * step))
    except Exception:  # each model raises an error of its own for a size that it does not take
        return False
    shapes = [(count, 2 * step // stride, 3 * step // stride) for count, stride in zip(channels, strides, strict=True)]
    if channels_last:
        shapes = [(height, width, count) for count, height, width in shapes]
    return [tuple(each.shape[1:]) for each in maps] == shapes


def _create(model: str, **settings: Any) -> Any:
    import timm

    return timm.create_model(model, features_only=True, **{"pretrained": False, **settings})


def create(
    model: str, stages: tuple[int, ...], channels: int, pretrained: Literal[True] | str | None = None
) -> nn.Module:
    """Build the backbone: images (B, channels, H, W) → the maps of ``stages``, from the finest to the coarsest.

    Args:
        model: timm's name.
        stages: numbers of its feature maps.
        channels: of the image; timm adapts first weights for three.
        pretrained: the first weights, from timm's hub or from a safetensors file. On the meta device,
            which has no values, nothing is read or downloaded.

    Raises:
        WeightsError: the hub cannot be reached, the file cannot be read, or does not fit the model.
    """
    settings = {"out_indices": stages, "in_chans": channels, **dict(stages_of(model).settings)}
    if pretrained is None or torch.get_default_device().type == "meta":
        return _create(model, **settings)
    path = _fetched(model) if pretrained is True else Path(pretrained)
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise WeightsError(f"{path}: not a readable safetensors file: {reason}") from None
    try:
        with _copied() as loaded:
            network = _create(
                model,
                pretrained=True,
                # timm looks at the source first, so the name of a hub would win over the tensors.
                pretrained_cfg_overlay={"state_dict": tensors, "source": "", "custom_load": False},
                **settings,
            )
    except KeyError as error:  # timm renames old tensors, and looks up some of them for that
        raise WeightsError(f"{path}: does not fit timm's {model!r}: missing {error.args[0]}") from None
    except (RuntimeError, ValueError) as error:
        complaints = str(error).split("\n\t")  # after a title, one for each tensor
        reason = complaints[min(1, len(complaints) - 1)].strip()
        raise WeightsError(f"{path}: does not fit timm's {model!r}: {reason}") from None
    # timm ignores tensors that a file lacks, and would leave them random.
    if missing := [name for name, tensor in network.state_dict(keep_vars=True).items() if id(tensor) not in loaded]:
        names = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
        raise WeightsError(f"{path}: does not fit timm's {model!r}: missing {names}")
    return network


def _fetched(model: str) -> Path:
    """The safetensors file of timm's own weights, from the hub or its cache."""
    import timm
    from huggingface_hub import hf_hub_download

    source = timm.get_pretrained_cfg(model)
    if source is None or not source.hf_hub_id:
        raise WeightsError(f"timm has no weights of {model!r} on its hub; give the path of a safetensors file")
    file = (source.hf_hub_filename or SAFE).replace("pytorch_model.bin", SAFE)
    try:
        return Path(hf_hub_download(source.hf_hub_id, file))
    except Exception as error:  # no network, no such file, or offline by choice: each client has errors of its own
        reason = str(error).strip().split("\n", 1)[0].split(". ", 1)[0].rstrip(".")
        raise WeightsError(
            f"the weights {source.hf_hub_id}/{file} cannot be fetched ({reason}); "
            "give the path of a safetensors file as pretrained, or leave it out"
        ) from None


class _Copies(TorchFunctionMode):
    """Remembers which tensors are copied to."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: dict[int, Tensor] = {}  # kept alive, because new tensors could get the same ids

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is Tensor.copy_:
            self.targets[id(args[0])] = args[0]
        return function(*args, **(kwargs or {}))


@contextmanager
def _copied() -> Iterator[dict[int, Tensor]]:
    with _Copies() as copies:
        yield copies.targets
