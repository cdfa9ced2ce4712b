"""SRFBN's checkpoints, small, as the published code names what is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.weights.published import Published, array, as_stored, mean_shift, network


def srfbn(scale: int = 2, groups: int = 3) -> Published:
    """SRFBN for pictures of 0 to 255, with the constants of its mean shift."""
    restorer = network(
        {
            "channels": 3,
            "normalization": {"mean": [0.4488, 0.4371, 0.404], "std": 1 / 255},
            "global_skip": "bilinear",
            "encoder": {
                "name": "recurrent",
                "steps": 2,
                "collect": "all",
                "stem": {
                    "name": "convolutions",
                    "channels": [8, 4],
                    "kernel_sizes": [3, 1],
                    "activation": "prelu",
                },
                "transition": {"name": "feedback", "channels": 4, "groups": groups, "scale": scale},
            },
            "decoder": {"name": "deconvolution", "scale": scale},
        }
    )
    stem, block, decoder = restorer.encoder.stem.layers, restorer.encoder.transition, restorer.decoder
    blocks: list[tuple[str, Any]] = [("conv_in", stem[0:2]), ("feat_in", stem[2:4]), ("out", decoder.up)]
    blocks += [("block.compress_in", block.fed_back), ("block.compress_out", block.fusion)]
    for group in range(groups):
        blocks += [(f"block.upBlocks.{group}", block.ups[group]), (f"block.downBlocks.{group}", block.downs[group])]
    for group in range(1, groups):
        blocks.append((f"block.uptranBlocks.{group - 1}", block.joins_low[group]))
        blocks.append((f"block.downtranBlocks.{group - 1}", block.joins_high[group]))
    arrays = as_stored([*((f"{name}.0", part[0]) for name, part in blocks), ("conv_out.0", decoder.conv)])
    arrays |= {f"{name}.1.weight": array(part[1].weight) for name, part in blocks}
    return Published(restorer, arrays | mean_shift(255.0), {"steps": 2})


FORMATS: dict[str, Callable[[], Published]] = {"srfbn": srfbn}
VARIANTS: dict[str, Callable[[], Published]] = {
    "srfbn-x3": lambda: srfbn(3),
    "srfbn-x4": lambda: srfbn(4),
    "srfbn-one-group": lambda: srfbn(groups=1),
}
