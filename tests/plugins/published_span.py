"""SPAN's checkpoints, small, as the published code names what is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tests.weights.published import Arrays, Published, array, as_stored, network

MEAN = (0.4488, 0.4371, 0.404)
PARTS = (("conv.0", "expand"), ("conv.1", "conv"), ("conv.2", "reduce"), ("sk", "skip"))


def span(scale: int = 2) -> Published:
    """SPAN in its parts, with the convolutions for evaluation, which may be older than the parts."""
    restorer = network(
        {
            "channels": 3,
            "normalization": {"mean": MEAN, "std": 1 / 255},
            "encoder": {"name": "span", "channels": 4, "blocks": 3},
            "decoder": {"name": "pixel-shuffle-direct", "scale": scale},
        }
    )
    encoder, output = restorer.encoder, restorer.decoder.conv
    convs: list[tuple[str, Any]] = [("conv_1", encoder.head), ("conv_2", encoder.tail)]
    for number, block in enumerate(encoder.blocks, 1):
        convs += [(f"block_{number}.c{i}_r", conv) for i, conv in enumerate(block.convs, 1)]
    arrays: Arrays = as_stored([("conv_cat", encoder.fusion)])
    for name, conv in convs:
        arrays |= as_stored((f"{name}.{theirs}", getattr(conv, ours)) for theirs, ours in PARTS)
        arrays |= {f"{name}.eval_conv.{kind}": 0 * array(value) for kind, value in conv.folded_state().items()}
    # Theirs gives the image itself, ours (image − mean) / std.
    mean = torch.tensor(MEAN).repeat_interleave(scale**2)
    stored = {"weight": (output.weight / 255).detach(), "bias": (output.bias / 255 + mean).detach()}
    with torch.no_grad():  # as they are after rounding
        output.weight.copy_(stored["weight"] * 255)
        output.bias.copy_((stored["bias"] - mean) * 255)
    arrays |= {f"upsampler.0.{kind}": array(value) for kind, value in stored.items()}
    return Published(restorer, arrays, {"form": "training"})


FORMATS: dict[str, Callable[[], Published]] = {"span": span}
VARIANTS: dict[str, Callable[[], Published]] = {"span-x3": lambda: span(3), "span-x4": lambda: span(4)}
