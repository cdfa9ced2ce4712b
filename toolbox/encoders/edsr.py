"""EDSR's body: residual blocks without batch norm, and a long skip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from toolbox.config import EncoderConfig, fault, located
from toolbox.records import ComponentInfo
from toolbox.spec import NonLocalSpec


class EDSRConfig(EncoderConfig):
    """Settings of EDSR; presets ``baseline`` and ``full`` are the published ones."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "baseline": {"channels": 64, "blocks": 16, "residual_scale": 1.0},
        "full": {"channels": 256, "blocks": 32, "residual_scale": 0.1},
    }
    channels: int = Field(default=64, gt=0)
    blocks: int = Field(default=16, gt=0, le=1000, description="residual blocks")
    residual_scale: float = Field(default=1.0, gt=0, description="each block's output is multiplied by this")
    nonlocal_block: NonLocalSpec | None = Field(
        default=None, alias="nonlocal", description="a non-local block, one of its own after each block named below"
    )
    nonlocal_after: tuple[int, ...] = Field(default=(), description="numbers of residual blocks, counted from 0")
    nonlocal_at_start: bool = Field(
        default=False, description="one more non-local block, before the first residual block"
    )

    def out_channels(self, channels: int) -> int:
        if self.nonlocal_block is not None:
            self.nonlocal_block.config.check_channels(self.channels)
        return self.channels

    def receptive_field(self) -> int | None:
        convolutions = 2 + 2 * self.blocks
        if self.nonlocal_block is None:
            return convolutions
        gathered = self.nonlocal_block.config.receptive_field()
        return None if gathered is None else convolutions + len(self.places()) * gathered

    def places(self) -> list[str]:
        """The names of the non-local blocks: the number of the residual block in front, or ``first``."""
        return ["first"] * self.nonlocal_at_start + [str(number) for number in sorted(set(self.nonlocal_after))]

    @model_validator(mode="after")
    def _check_nonlocal(self) -> Self:
        if wrong := [number for number in self.nonlocal_after if not 0 <= number < self.blocks]:
            raise fault(("nonlocal_after",), wrong[0], f"a block from 0 to {self.blocks - 1}")
        if (self.nonlocal_block is None) != (not self.places()):
            raise located(("nonlocal_after",), "nonlocal and nonlocal_after go together; give both or neither")
        return self


class ResidualBlock(nn.Module):
    """x + scale · conv(ReLU(conv(x))), (B, C, H, W) → the same shape."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return features + self.scale * self.body(features)


class EDSR(nn.Module):
    """Image (B, channels, H, W) → features (B, config.channels, H, W), any range.

    Source: Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW
    2017. The restorer's normalization replaces the mean shift of the published code, and the
    pixel-shuffle decoder its upsampler. Non-local blocks may follow some of the residual blocks, as
    in Liu et al. (NeurIPS 2018) and Wang et al. (CVPR 2018). They start as the identity, so with
    untrained ones the features are the same bit for bit.
    """

    def __init__(self, config: EDSRConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        self.head = nn.Conv2d(channels, config.channels, 3, padding=1)
        self.blocks = nn.Sequential(
            *(ResidualBlock(config.channels, config.residual_scale) for _ in range(config.blocks))
        )
        self.tail = nn.Conv2d(config.channels, config.channels, 3, padding=1)
        self.nonlocal_blocks = nn.ModuleDict()
        if config.nonlocal_block is not None:
            for place in config.places():
                self.nonlocal_blocks[place] = config.nonlocal_block.build(channels=config.channels)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        shallow: Tensor = self.head(image)
        features, correlation = shallow, None
        if "first" in self.nonlocal_blocks:
            features, correlation = self.nonlocal_blocks["first"](features, correlation)
        for number, block in enumerate(self.blocks):
            features = block(features)
            if str(number) in self.nonlocal_blocks:
                features, correlation = self.nonlocal_blocks[str(number)](features, correlation)
        return shallow + self.tail(features)


EDSR_ENCODER = ComponentInfo(
    kind="encoder",
    name="edsr",
    factory=EDSR,
    config=EDSRConfig,
    summary="residual blocks without batch norm and a long skip",
    paper="Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, CVPRW 2017",
    example={"channels": 4, "blocks": 1},
    url="https://arxiv.org/abs/1707.02921",
)
