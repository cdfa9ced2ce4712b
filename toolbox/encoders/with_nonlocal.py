"""Any encoder with non-local blocks: behind it, or behind modules inside it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from toolbox.close_names import did_you_mean
from toolbox.config import EncoderConfig
from toolbox.records import ComponentInfo
from toolbox.spec import ComponentSpec, EncoderSpec, NonLocalSpec

SIDE = 16  # pixels of the picture without data that the modules are tried on


class WithNonLocalConfig(EncoderConfig):
    """Settings of an encoder with non-local blocks."""

    encoder: EncoderSpec
    nonlocal_block: NonLocalSpec = Field(alias="nonlocal", description="each place gets a block of its own")
    after: tuple[str, ...] = Field(
        default=(), description="names of modules inside the encoder, such as blocks.3; by default its end"
    )

    def out_channels(self, channels: int) -> int:
        for width in self.widths(channels):
            self.nonlocal_block.config.check_channels(width)
        inner: int = self.encoder.config.out_channels(channels)
        return inner

    def receptive_field(self) -> int | None:
        inner, gathered = self.encoder.config.receptive_field(), self.nonlocal_block.config.receptive_field()
        if inner is None or gathered is None:
            return None
        if not self.after:
            return inner + gathered
        # A module behind a block sees in steps of its alignment, so a block may widen what it sees by a whole one.
        aligned: int = self.encoder.config.alignment()
        return inner + len(self.after) * math.ceil(gathered / aligned) * aligned

    def widths(self, channels: int) -> list[int]:
        """The channels of the features that each block works on.

        This builds the encoder and runs it without data, since only the modules themselves know.

        Raises:
            ValueError: a name is no module, or one that does not give the features of every pixel exactly once.
        """
        if not self.after:
            return [self.encoder.config.out_channels(channels)]
        settings = self.encoder.config.model_dump_json()
        return list(_widths(_Built(self.encoder.info.factory, settings, self.encoder), self.after, channels))


@dataclass(frozen=True)
class _Built:
    """An encoder that equals another with the same settings, since a spec asks for its widths many times."""

    factory: Callable[..., Any]
    settings: str
    spec: ComponentSpec = field(compare=False)


@functools.lru_cache(maxsize=64)
def _widths(built: _Built, names: tuple[str, ...], channels: int) -> tuple[int, ...]:
    """The channels of the features that the modules of these names give."""
    spec = built.spec
    side = SIDE * spec.config.padding().multiple
    with torch.device("meta"):
        encoder: nn.Module = spec.build(channels=channels)
        found: dict[str, list[Any]] = {name: [] for name in names}
        modules = dict(encoder.named_modules())
        for name, calls in found.items():
            if name not in modules:
                close = did_you_mean(name, modules) or f"such as {', '.join(list(modules)[1:4])}"
                raise ValueError(f"{spec.name!r} has no module {name!r}; {close}")
            modules[name].register_forward_hook(lambda _, __, output, calls=calls: calls.append(output))
        with torch.no_grad():
            encoder(torch.empty(1, channels, side, side))
    for name, outputs in found.items():
        maps = [each for each in outputs if isinstance(each, Tensor) and each.shape[2:] == (side, side)]
        if len(outputs) != 1 or len(maps) != 1:
            raise ValueError(
                f"module {name!r} of {spec.name!r} does not give features of all pixels once; a block behind it would "
                "see another distance than is declared"
            )
    return tuple(outputs[0].shape[1] for outputs in found.values())


class Followed(nn.Module):
    """A module, and a non-local block behind it."""

    def __init__(self, module: nn.Module, block: nn.Module) -> None:
        super().__init__()
        self.module, self.block = module, block

    def forward(self, *inputs: Any) -> Tensor:
        """The arguments of the module → (B, C, H, W)."""
        features: Tensor = self.block(self.module(*inputs), None)[0]
        return features


class WithNonLocal(nn.Module):
    """Image (B, channels, H, W) → the encoder's features (B, out_channels, H, W), with non-local blocks.

    No block gets the correlation of another. Blocks that start as the identity leave the features of a
    network unchanged until they are trained.

    Source: Wang et al., "Non-local Neural Networks", CVPR 2018, who add such blocks to existing networks.
    """

    def __init__(self, config: WithNonLocalConfig, channels: int) -> None:
        super().__init__()
        widths = config.widths(channels)
        self.out_channels = config.out_channels(channels)
        self.encoder: nn.Module = config.encoder.build(channels=channels)
        if not config.after:
            self.encoder = Followed(self.encoder, config.nonlocal_block.build(channels=widths[0]))
        for name, width in zip(config.after, widths, strict=True) if config.after else ():
            block = config.nonlocal_block.build(channels=width)
            self.encoder.set_submodule(name, Followed(self.encoder.get_submodule(name), block))

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        features: Tensor = self.encoder(image)
        return features


WITH_NONLOCAL = ComponentInfo(
    kind="encoder",
    name="with-nonlocal",
    factory=WithNonLocal,
    config=WithNonLocalConfig,
    summary="any encoder with non-local blocks behind it or behind modules inside it",
    paper="Wang et al., Non-local Neural Networks, CVPR 2018",
    example={
        "encoder": {"name": "rdn", "channels": 4, "blocks": 2, "layers": 2, "growth": 3},
        "nonlocal": {
            "name": "wang-nonlocal",
            "neighborhood": {"kind": "window", "size": 3, "border": "zero"},
            "inner_channels": 2,
        },
        "after": ["blocks.0"],
    },
    url="https://arxiv.org/abs/1711.07971",
)
