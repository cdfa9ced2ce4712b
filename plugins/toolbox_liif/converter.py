"""LIIF's published checkpoints, which contain their spec, and bare state dicts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from toolbox.plugin import HALF, Checkpoint, Config, Conversion, ConverterInfo, TensorSource, WeightsError, encoder_plan


class LIIFHints(Config):
    """Settings that a bare state dict leaves open."""

    local_ensemble: bool | None = None  # None: as in the file's spec, or true


def _plan(checkpoint: Checkpoint, hints: LIIFHints) -> Conversion:
    encoder, names, ignored = encoder_plan(checkpoint, "encoder.")
    features = encoder["channels"]
    hidden: list[int] = []
    while f"imnet.layers.{2 * len(hidden) + 2}.weight" in checkpoint.tensors:
        hidden.append(checkpoint.shape(f"imnet.layers.{2 * len(hidden)}.weight", 2)[0])
    if not hidden:
        raise WeightsError("missing 'imnet.layers.2.weight', which determines the rest of the network")
    width = checkpoint.shape("imnet.layers.0.weight", 2)[1]
    layouts = {
        (features * (9 if unfolds else 1)) + (4 if cell else 2): (unfolds, cell)
        for unfolds in (True, False)
        for cell in (True, False)
    }
    if width not in layouts:
        raise WeightsError(f"imnet.layers.0.weight takes {width} channels, expected one of {sorted(layouts)}")
    unfolds, cell = layouts[width]
    ensemble = hints.local_ensemble
    if ensemble is None:
        arguments = checkpoint.notes.get("args")
        ensemble = bool(arguments.get("local_ensemble", True)) if isinstance(arguments, Mapping) else True
    last = f"imnet.layers.{2 * len(hidden)}"
    channels = checkpoint.shape(f"{last}.weight", 2)[0]
    spec: dict[str, Any] = {
        "summary": "converted from a LIIF checkpoint",
        "channels": channels,
        "normalization": HALF,
        "encoder": encoder,
        "decoder": {
            "name": "local-ensemble",
            "hidden": hidden,
            "feature_unfolding": unfolds,
            "local_ensemble": ensemble,
            "cell_decoding": cell,
        },
    }
    position = 4 if cell else 2
    content = width - position
    first, shape = ("imnet.layers.0.weight",), ((hidden[0], width),)
    sources: dict[str, str | TensorSource] = {
        **names,
        "decoder.content.weight": TensorSource(
            first, shape, partial(_content, count=content, kernel=3 if unfolds else 1)
        ),
        "decoder.content.bias": "imnet.layers.0.bias",
        "decoder.position.weight": TensorSource(first, shape, partial(_position, count=content)),
    }
    for i in range(1, len(hidden) + 1):
        for kind in ("weight", "bias"):
            sources[f"decoder.layers.{2 * i - 1}.{kind}"] = f"imnet.layers.{2 * i}.{kind}"
    return Conversion(spec, sources, ignored)


def _content(weight: Tensor, count: int, kernel: int) -> Tensor:
    return weight[:, :count].reshape(len(weight), -1, kernel, kernel)


def _position(weight: Tensor, count: int) -> Tensor:
    return weight[:, count:]


def _recognize(checkpoint: Checkpoint) -> bool:
    first = checkpoint.tensors.get("imnet.layers.0.weight")
    later = {"coef.weight", "hypernet.layers.0.weight"}  # for decoders with more than LIIF's single network
    return first is not None and first.ndim == 2 and first.shape[1] > 3 and not later & checkpoint.tensors.keys()


LIIF_FORMAT = ConverterInfo(
    name="liif",
    recognize=_recognize,
    plan=_plan,
    hints=LIIFHints,
    summary="LIIF's .pth files and state dicts, on EDSR or RDN",
    url="https://github.com/yinboc/liif",
    license="BSD-3-Clause",
)
