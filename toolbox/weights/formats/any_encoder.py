"""The encoders of published implicit networks: EDSR or RDN, recognized by their tensor names."""

from __future__ import annotations

from typing import Any

from toolbox.conversion import Checkpoint
from toolbox.errors import WeightsError
from toolbox.weights.formats import edsr, rdn

HALF = {"mean": 0.5, "std": 0.5}  # LIIF, Meta-SR and DIINN see (x − 0.5) / 0.5


def encoder_plan(checkpoint: Checkpoint, prefix: str) -> tuple[dict[str, Any], dict[str, str], frozenset[str]]:
    """The spec of the encoder below ``prefix``, the published names of its tensors, and names not needed.

    Raises:
        WeightsError: the encoder is neither of the two.
    """
    if f"{prefix}SFENet1.weight" in checkpoint.tensors:
        return *rdn.encoder_plan(checkpoint, prefix), frozenset()
    if f"{prefix}head.0.weight" in checkpoint.tensors:
        # LIIF's EDSR has the constants of the mean shift in its state dict but does not use them.
        return *edsr.encoder_plan(checkpoint, prefix), frozenset(prefix + name for name in edsr.MEAN_SHIFT)
    raise WeightsError(f"the encoder under {prefix!r} is neither EDSR (head.0.weight) nor RDN (SFENet1.weight)")
