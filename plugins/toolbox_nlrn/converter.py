"""NLRN's published TensorFlow variables."""

from __future__ import annotations

import re
from typing import Literal

from torch import Tensor

from toolbox.plugin import Checkpoint, Config, Conversion, ConverterInfo, TensorSource

NORMS = ("norm_in", "norm_a", "norm_b")  # in the order in which each state creates them
NORM_NAMES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


class NLRNHints(Config):
    """Settings that NLRN's variables leave open."""

    propagation: Literal["accumulate", "none"] = "accumulate"  # as in the published v0
    neighborhood: Literal["window", "whole"] = "window"  # the published evaluation uses whole, on patches of 45 × 45
    window: int = 45


def _plan(checkpoint: Checkpoint, hints: NLRNHints) -> Conversion:
    height, width, channels, features = checkpoint.shape("model/conv1/kernel")
    embedding = checkpoint.shape("model/rnn/non_local_theta/kernel")[-1]
    states = {re.fullmatch(r"model/rnn/batch_normalization(?:_(\d+))?/gamma", name) for name in checkpoint.tensors}
    numbers = [int(match[1] or 0) for match in states if match]
    steps = max(1, (max(numbers, default=0) + 1) // len(NORMS))
    window = {"kind": "window", "size": hints.window}
    spec = {
        "summary": "converted from NLRN's TensorFlow variables",
        "channels": channels,
        "normalization": {"std": 1 / 255},
        "global_skip": "bicubic",
        "encoder": {
            "name": "recurrent",
            "steps": steps,
            "transition": {
                "name": "nonlocal-residual",
                "channels": features,
                "nonlocal": {
                    "name": "soft-block-matching",
                    "neighborhood": window if hints.neighborhood == "window" else {"kind": "whole"},
                    "propagation": hints.propagation,
                    "embedding_channels": embedding,
                },
            },
        },
        "decoder": {"name": "residual-conv"},
    }
    transition = "encoder.transition"
    sources: dict[str, str | TensorSource] = {
        **_conv("encoder.stem.1", "model/conv1", (height, width, channels, features)),
        **_conv(f"{transition}.nonlocal_block.theta", "model/rnn/non_local_theta", (1, 1, features, embedding)),
        **_conv(f"{transition}.nonlocal_block.phi", "model/rnn/non_local_phi", (1, 1, features, embedding)),
        **_conv(f"{transition}.nonlocal_block.g", "model/rnn/non_local_g", (1, 1, features, features)),
        **_conv(f"{transition}.conv_a", "model/rnn/RB1_a", (3, 3, features, features)),
        **_conv(f"{transition}.conv_b", "model/rnn/RB1_b", (3, 3, features, features)),
        **_conv("decoder.conv", "model/conv_end", (3, 3, features, channels)),
        **_norm("encoder.stem.0", "model/batch_normalization"),
        **_norm("decoder.norm", "model/batch_normalization_1"),
    }
    for step in range(steps):
        for i, norm in enumerate(NORMS):
            number = len(NORMS) * step + i
            suffix = f"_{number}" if number else ""
            sources |= _norm(f"{transition}.{norm}.states.{step}", f"model/rnn/batch_normalization{suffix}")
    return Conversion(spec, sources)


def _conv(ours: str, published: str, shape: tuple[int, ...]) -> dict[str, str | TensorSource]:
    """Transpose TensorFlow's kernels, height × width × in × out."""

    def transpose(kernel: Tensor) -> Tensor:
        return kernel.permute(3, 2, 0, 1)

    return {
        f"{ours}.weight": TensorSource((f"{published}/kernel",), (shape,), transpose),
        f"{ours}.bias": f"{published}/bias",
    }


def _norm(ours: str, published: str) -> dict[str, str | TensorSource]:
    return {f"{ours}.{kind}": f"{published}/{name}" for kind, name in NORM_NAMES.items()}


NLRN_FORMAT = ConverterInfo(
    name="nlrn-tf",
    recognize=lambda checkpoint: "model/rnn/non_local_theta/kernel" in checkpoint.tensors,
    plan=_plan,
    hints=NLRNHints,
    summary="NLRN's TensorFlow variables, as .npz or a TensorFlow checkpoint",
    url="https://github.com/Ding-Liu/NLRN_v0",
    license="none stated by its authors",
)
