"""The non-local blocks in published checkpoints: their names, settings and tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from toolbox.plugin import Checkpoint, Conversion, TensorSource, WeightsError

Sources = dict[str, str | TensorSource]


@dataclass(frozen=True)
class Block:
    """A published non-local block: the name that tells it, and the plan of one below a prefix of names."""

    mark: str  # the published name that others lack
    plan: Callable[[Checkpoint, str, str, Mapping[str, Any]], tuple[dict[str, Any], Sources]]
    ignored: tuple[str, ...] = ()  # published buffers

    def prefixes(self, checkpoint: Checkpoint) -> list[str]:
        """What precedes the names of each block in a checkpoint."""
        return [name.removesuffix(self.mark) for name in checkpoint.tensors if name.endswith(self.mark)]

    def alone(self, checkpoint: Checkpoint, settings: Mapping[str, Any]) -> Conversion:
        """The plan of a file that holds a block and nothing else."""
        block, sources = self.plan(checkpoint, "", "encoder.nonlocal_block.", settings)
        spec = {
            "summary": f"converted from the block {block['name']} alone",
            "channels": checkpoint.shape("conv_assembly.0.weight")[0],
            "encoder": {"name": "nonlocal", "nonlocal": block},
            "decoder": "features",
        }
        return Conversion(spec, sources, frozenset(self.ignored))


def _convolutions(prefix: str, ours: str, names: Mapping[str, str], *, slopes: bool = False) -> Sources:
    sources: Sources = {}
    for own, theirs in names.items():
        layer = f"{ours}{own}.0" if slopes else f"{ours}{own}"
        sources |= {f"{layer}.{kind}": f"{prefix}{theirs}.0.{kind}" for kind in ("weight", "bias")}
        if slopes:
            sources[f"{ours}{own}.1.weight"] = f"{prefix}{theirs}.1.weight"
    return sources


def _nlsa(
    checkpoint: Checkpoint, prefix: str, ours: str, settings: Mapping[str, Any]
) -> tuple[dict[str, Any], Sources]:
    """Non-local sparse attention; a file may say its rotations, which published ones do not."""
    embedded = checkpoint.shape(f"{prefix}conv_match.0.weight")[0]
    block = {"name": "nlsa", "embedding_channels": embedded, **settings}
    sources = _convolutions(prefix, ours, {"embed": "conv_match", "value": "conv_assembly"})
    given = f"{prefix}lsh_rotations"
    if given in checkpoint.tensors:
        _, width, rounds, half = checkpoint.shape(given)
        if width != embedded or half > 64:
            raise WeightsError(f"{given} rotates {width} channels by {half}, expected {embedded} by at most 64")
        block["rounds"] = rounds
        sources[f"{ours}rotations"] = TensorSource((given,), ((1, width, rounds, half),), _filled_up)
    else:
        rounds, seed = block["rounds"], block["seed"]
        sources[f"{ours}rotations"] = TensorSource((), (), lambda: stored_rotations(embedded, rounds, seed))
    return block, sources


def stored_rotations(channels: int, rounds: int, seed: int) -> Tensor:
    """The rotations that a block is built with."""
    return torch.randn((channels, rounds, 64), generator=torch.Generator().manual_seed(seed))


def _filled_up(rotations: Tensor) -> Tensor:
    """(1, channels, rounds, half the buckets) → as many as for any image; this one uses the given ones."""
    _, channels, rounds, half = rotations.shape
    return torch.cat((rotations[0].float(), stored_rotations(channels, rounds, 0)[..., half:]), 2)


def _enlca(
    checkpoint: Checkpoint, prefix: str, ours: str, settings: Mapping[str, Any]
) -> tuple[dict[str, Any], Sources]:
    embedded = checkpoint.shape(f"{prefix}conv_match1.0.weight")[0]
    sources = _convolutions(prefix, ours, {"query": "conv_match1", "key": "conv_match2", "value": "conv_assembly"})
    sources[f"{ours}projection"] = f"{prefix}attn_fn.projection_matrix"
    return {"name": "enlca", "embedding_channels": embedded, **settings}, sources


def _pyramid(
    checkpoint: Checkpoint, prefix: str, ours: str, settings: Mapping[str, Any]
) -> tuple[dict[str, Any], Sources]:
    names = {"query": "conv_match_L_base", "key": "conv_match", "value": "conv_assembly"}
    embedded = checkpoint.shape(f"{prefix}conv_match_L_base.0.weight")[0]
    return {"name": "pyramid", "embedding_channels": embedded, **settings}, _convolutions(
        prefix, ours, names, slopes=True
    )


NLSA = Block("conv_match.0.weight", _nlsa)
ENLCA = Block("attn_fn.projection_matrix", _enlca)
PYRAMID = Block("conv_match_L_base.0.weight", _pyramid, ("escape_NaN",))
