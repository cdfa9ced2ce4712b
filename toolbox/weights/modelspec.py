"""The texts of a header that other programs show: title, author, license and more, after the ModelSpec standard."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import metadata

from safetensors.torch import save
from torch import Tensor

from toolbox.entry_points import DISTRIBUTION
from toolbox.restorer import Restorer

VERSION = "1.0.0"  # of the standard
LICENSE, HASH = "modelspec.license", "modelspec.hash_sha256"


def modelspec_of(restorer: Restorer) -> dict[str, str]:
    """The texts about a network, without those that nobody stated.

    Source: Stability AI, "Model Metadata Standard", 2023.
    """
    spec, record = restorer.spec, restorer.training_record
    parts = f"{spec.encoder.name}+{spec.decoder.name}"
    texts = {
        "sai_model_spec": VERSION,
        "title": spec.summary or parts,
        "author": str(record.get("author") or ""),
        "license": str(record.get("license") or ""),
        "architecture": f"toolbox/{parts}",
        "implementation": f"{DISTRIBUTION} {metadata.version(DISTRIBUTION)}",
    }
    return {f"modelspec.{name}": text for name, text in texts.items() if text}


def hash_of(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The text with the hash of everything behind the header of a safetensors file with these tensors."""
    content = save(dict(tensors))
    start = 8 + int.from_bytes(content[:8], "little")
    return {HASH: f"0x{hashlib.sha256(memoryview(content)[start:]).hexdigest()}"}
