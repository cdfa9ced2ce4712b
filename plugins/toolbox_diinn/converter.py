"""DIINN's published checkpoints: Lightning's, or a bare state dict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from toolbox.plugin import (
    HALF,
    Checkpoint,
    Config,
    Conversion,
    ConverterInfo,
    TensorSource,
    WeightsError,
    encoder_plan,
    hint_needed,
)

ModulationInput = Literal["modulation", "modulation+content", "synthesis+content"]
PUBLISHED_MODES: Mapping[int, ModulationInput] = {
    1: "modulation",
    2: "modulation+content",
    3: "synthesis+content",
    4: "synthesis+content",
}


class DIINNHints(Config):
    """Settings that a bare state dict leaves open."""

    modulation_input: ModulationInput | None = None


def _plan(checkpoint: Checkpoint, hints: DIINNHints) -> Conversion:
    root = "net." if any(name.startswith("net.") for name in checkpoint.tensors) else ""
    alone = f"{root}K.0.0.weight" in checkpoint.tensors
    prefix = root if alone else f"{root}decoder."
    layers = checkpoint.count(prefix + "Q.{}.0.weight")
    if layers == 0:
        raise WeightsError(f"missing '{prefix}Q.0.0.weight', which determines the rest of the network")
    hidden = [checkpoint.shape(f"{prefix}Q.{i}.0.weight")[0] for i in range(layers)]
    channels, _, kernel = checkpoint.shape(f"{prefix}last_layer.weight")[:3]
    content = checkpoint.shape(f"{prefix}K.0.0.weight")[1]
    initial = f"{prefix}first_layer.0.weight" in checkpoint.tensors
    modulation_input = _modulation_input(checkpoint, hints, prefix, hidden, kernel)
    decoder = {
        "name": "dual-interactive",
        "hidden": hidden,
        "modulation_input": modulation_input,
        "initial_synthesis": initial,
        "output_kernel": kernel,
    }
    spec: dict[str, Any] = {"summary": "converted from a DIINN checkpoint", "decoder": decoder}
    sources: dict[str, str | TensorSource] = {}
    ignored: frozenset[str] = frozenset()
    if alone:  # channels of the features, which are then the image
        spec |= {"channels": content // 9, "output_channels": channels, "encoder": "identity"}
    else:
        encoder, names, ignored = encoder_plan(checkpoint, f"{root}encoder.")
        sources |= names
        spec |= {"channels": channels, "normalization": HALF, "encoder": encoder}
    return Conversion(spec, sources | _decoder(prefix, hidden, content, modulation_input, initial), ignored)


def _modulation_input(
    checkpoint: Checkpoint, hints: DIINNHints, prefix: str, hidden: list[int], kernel: int
) -> ModulationInput:
    """Find the input of the modulation from hyperparameters, shapes or the hint, which must agree."""
    possible = set(PUBLISHED_MODES.values())
    mode = next((mode for mode in _all(checkpoint.notes, "mode") if mode in PUBLISHED_MODES), None)
    if mode is not None:
        possible &= {PUBLISHED_MODES[mode]}
    if len(hidden) > 1:
        takes_content = checkpoint.shape(f"{prefix}K.1.0.weight")[1] != hidden[0]
        possible &= {"modulation+content", "synthesis+content"} if takes_content else {"modulation"}
    if kernel == 3:
        possible &= {PUBLISHED_MODES[4]}
    if not possible:
        raise WeightsError(f"its shapes are not those of {f'its mode {mode}' if mode else 'any published mode'}")
    if hints.modulation_input is not None:
        if hints.modulation_input not in possible:
            found = " or ".join(sorted(possible))
            raise WeightsError(f"got the hint modulation_input={hints.modulation_input!r}, but the file says {found}")
        return hints.modulation_input
    if len(possible) != 1:
        raise hint_needed("modulation_input", tuple(sorted(possible)))
    return possible.pop()


def _decoder(
    prefix: str, hidden: list[int], content: int, modulation_input: ModulationInput, initial: bool
) -> dict[str, str | TensorSource]:
    """Split K_i into its parts for the content and for the layer before, which our decoder keeps separate."""
    features, layers = content // 9, len(hidden)
    with_content = range(1) if modulation_input == "modulation" else range(layers)
    before = [0, *hidden[:-1]]
    widths = [before[i] + content if i in with_content else before[i] for i in range(layers)]
    kernels = tuple((hidden[i], widths[i], 1, 1) for i in range(layers))
    names = [f"{prefix}K.{i}.0" for i in range(layers)]

    def content_weight(*weights: Tensor) -> Tensor:
        return torch.cat([weight[:, -content:].reshape(-1, features, 3, 3) for weight in weights])

    def stacked(*biases: Tensor) -> Tensor:
        return torch.cat(biases)

    sources: dict[str, str | TensorSource] = {
        "decoder.content.weight": TensorSource(
            tuple(f"{names[i]}.weight" for i in with_content), tuple(kernels[i] for i in with_content), content_weight
        ),
        "decoder.content.bias": TensorSource(
            tuple(f"{names[i]}.bias" for i in with_content), tuple((hidden[i],) for i in with_content), stacked
        ),
    }
    for i in range(1, layers):
        take = partial(_first_columns, count=before[i])
        sources[f"decoder.modulation.{i - 1}.weight"] = TensorSource((f"{names[i]}.weight",), (kernels[i],), take)
        if i not in with_content:
            sources[f"decoder.modulation.{i - 1}.bias"] = f"{names[i]}.bias"
    position = [content if initial else 3, *hidden[:-1]]
    linear = {f"decoder.synthesis.{i}": (f"{prefix}Q.{i}.0", (hidden[i], position[i])) for i in range(layers)}
    if initial:
        linear["decoder.initial"] = (f"{prefix}first_layer.0", (content, 3))
    for ours, (published, shape) in linear.items():
        sources[f"{ours}.weight"] = TensorSource(
            (f"{published}.weight",), ((*shape, 1, 1),), partial(_first_columns, count=shape[1])
        )
        sources[f"{ours}.bias"] = f"{published}.bias"
    for kind in ("weight", "bias"):
        sources[f"decoder.output.{kind}"] = f"{prefix}last_layer.{kind}"
    return sources


def _first_columns(weight: Tensor, count: int) -> Tensor:
    """(out, in, 1, 1) → (out, count)."""
    return weight[:, :count, 0, 0]


def _all(notes: Mapping[str, Any], key: str) -> Iterator[int]:
    """Every number of that key in nested mappings, since versions nest hyperparameters differently."""
    if isinstance(notes.get(key), int):
        yield notes[key]
    for value in notes.values():
        if isinstance(value, Mapping):
            yield from _all(value, key)


def _recognize(checkpoint: Checkpoint) -> bool:
    return any(
        {f"{prefix}K.0.0.weight", f"{prefix}Q.0.0.weight"} <= checkpoint.tensors.keys()
        for prefix in ("", "decoder.", "net.decoder.", "net.")
    )


DIINN_FORMAT = ConverterInfo(
    name="diinn",
    recognize=_recognize,
    plan=_plan,
    hints=DIINNHints,
    summary="DIINN's Lightning checkpoints and state dicts",
    url="https://github.com/robotic-vision-lab/Dual-Interactive-Implicit-Neural-Network",
    license="Apache-2.0",
)
