"""A network at one integer scale for color pictures, as programs take it that hold tensors and no header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.discovery import in_use
from toolbox.errors import SpecError, WeightsError
from toolbox.registry import Registries
from toolbox.restorer import Restorer
from toolbox.weights.file import SPEC_LIMIT, checked_spec, describe_mismatch, header_from

TEXTS = "toolbox_texts"  # the tensor with the texts that a header would have
SCALE = "toolbox.scale"
TEXTS_LIMIT = 4 * SPEC_LIMIT  # bytes: the spec, the plugins and the training record
PREFIX = "network."
ORIGIN = Path("the given tensors")  # in error messages, in the place of a file
RGB = 3


class OneScale(nn.Module):
    """RGB pictures (B, 3, H, W) in [0, 1] → (B, 3, s·H, s·W), not clamped. A gray network takes each color by itself.

    Args:
        network: a network that gives as many channels as it takes.
        scale: output over input size.
        texts: those of a weights file's header, which rebuild the network.

    Raises:
        SpecError: the network needs more than a picture, takes no color, or does not do that scale.
    """

    toolbox_texts: Tensor

    def __init__(self, network: Restorer, scale: int, texts: Mapping[str, str]) -> None:
        super().__init__()
        _check(network, scale)
        self.network, self.scale = network, scale
        data = json.dumps({**texts, SCALE: str(scale)}, sort_keys=True).encode()
        self.register_buffer(TEXTS, torch.frombuffer(bytearray(data), dtype=torch.uint8))

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, 3, s·H, s·W)."""
        height, width = image.shape[-2:]
        colors = image.reshape(-1, self.network.channels, height, width)
        restored: Tensor = self.network(colors, size=(self.scale * height, self.scale * width))
        return restored.reshape(-1, RGB, *restored.shape[-2:])


def _check(network: Restorer, scale: int) -> None:
    spec = network.spec
    if spec.conditions:
        raise SpecError(
            f"got a network that needs {', '.join(spec.conditions)} beside the picture, expected one that needs the "
            "picture alone"
        )
    if spec.channels not in (1, RGB) or spec.decoded_channels != spec.channels:
        raise SpecError(
            f"got a network of {spec.channels} to {spec.decoded_channels} channels, expected 1 to 1 or {RGB} to {RGB}"
        )
    if next(network.parameters(), None) is None:
        raise SpecError("got a network without weights, expected one that was trained")
    network.output_size(64, 64, scale=scale)


def read_one_scale(tensors: Mapping[str, Tensor], *, registries: Registries | None = None) -> OneScale:
    """The network in the tensors of a ``OneScale``, with its weights, in eval mode.

    Raises:
        WeightsError: the texts or the tensors are not those of such a network, or it needs a plugin that is not active.
    """
    texts = _texts(tensors)
    shapes = {name.removeprefix(PREFIX): tuple(each.shape) for name, each in tensors.items() if name != TEXTS}
    spec = checked_spec(ORIGIN, header_from(ORIGIN, texts, shapes), in_use(registries))
    with torch.device("meta"):
        expected = {name: tuple(tensor.shape) for name, tensor in Restorer(spec).state_dict().items()}
    if complaint := describe_mismatch(shapes, expected):
        raise WeightsError(f"{ORIGIN}: do not fit their spec: {complaint}")
    with torch.random.fork_rng(devices=[]):  # building draws weights, but the caller's random state must stay
        network = Restorer(spec)
    network.load_state_dict({name: tensors[f"{PREFIX}{name}"] for name in shapes})
    return OneScale(network, int(texts[SCALE]), texts).eval()


def spec_of(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The spec of the network in the tensors of a ``OneScale``, as data.

    Raises:
        WeightsError: the texts are not those of such a network.
    """
    return header_from(ORIGIN, _texts(tensors), {}).spec


def _texts(tensors: Mapping[str, Any]) -> dict[str, str]:
    """The texts in their tensor, checked."""
    held = tensors.get(TEXTS)
    texts: Any = None
    if isinstance(held, Tensor) and held.dtype == torch.uint8 and held.ndim == 1 and held.numel() <= TEXTS_LIMIT:
        try:
            texts = json.loads(bytes(held.tolist()))
        except (ValueError, RecursionError):
            texts = None
    if not isinstance(texts, dict) or not all(isinstance(each, str) for each in texts.values()):
        raise WeightsError(f"the tensor {TEXTS} does not hold the texts of a network; export it again")
    if not texts.get(SCALE, "").isdecimal() or not 1 <= int(texts[SCALE][:4]) <= 64:
        raise WeightsError(f"got {str(texts.get(SCALE))[:20]!r} for {SCALE}, expected an integer; export it again")
    return texts
