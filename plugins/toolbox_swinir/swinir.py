"""SwinIR's encoder: groups of blocks that attend within windows, each group with a convolution and a skip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, EncoderConfig, Padding, fault
from toolbox_swinir.block import ChannelNorm, SwinBlock, shift_of
from toolbox_swinir.plain import swinir

Connection = Literal["1conv", "3conv"]
SLOPE = 0.2  # of the leaky ReLUs between three convolutions


class SwinIRConfig(EncoderConfig):
    """Settings of SwinIR's encoder; presets ``light``, ``medium`` and ``large`` are the published ones."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "light": {"channels": 60, "depths": (6,) * 4, "heads": (6,) * 4, "hidden": 120},
        "medium": {"channels": 180, "depths": (6,) * 6, "heads": (6,) * 6, "hidden": 360},
        "large": {"channels": 240, "depths": (6,) * 9, "heads": (8,) * 9, "hidden": 480, "connection": "3conv"},
    }
    channels: int = Field(default=60, gt=0)
    depths: tuple[PositiveInt, ...] = Field(default=(6,) * 4, min_length=1, description="blocks of each group")
    heads: tuple[PositiveInt, ...] = Field(default=(6,) * 4, description="heads of the attention in each group")
    hidden: int = Field(default=120, gt=0, description="channels of the hidden layer of each MLP")
    window: int = Field(default=8, ge=2, le=64, description="pixels along a side of a window")
    connection: Connection = Field(
        default="1conv", description="what follows a group: one convolution, or three with a quarter of the channels"
    )

    def out_channels(self, channels: int) -> int:
        return self.channels

    def receptive_field(self) -> int | None:
        # A pixel sees up to the edges of its window, so its place in the window matters.
        convolution, farthest = 2 if self.connection == "3conv" else 1, 0
        for pixel in range(self.window):
            first, last = pixel - convolution, pixel + convolution
            for depth in reversed(self.depths):
                first, last = first - convolution, last + convolution
                for block in reversed(range(depth)):
                    start = shift_of(self.window) if block % 2 else 0
                    first = (first - start) // self.window * self.window + start
                    last = (last - start) // self.window * self.window + start + self.window - 1
            farthest = max(farthest, pixel - first, last - pixel)
        return farthest + 1  # the first convolution

    def alignment(self) -> int:
        return self.window

    def padding(self) -> Padding:
        return Padding(self.window)

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if len(self.heads) != len(self.depths):
            raise fault(("heads",), list(self.heads), f"{len(self.depths)} numbers: one for each group, as in depths")
        for group, heads in enumerate(self.heads):
            if self.channels % heads:
                raise fault(("heads", group), heads, f"a divisor of the {self.channels} channels")
        if self.connection == "3conv" and self.channels < 4:
            raise fault(("channels",), self.channels, "at least 4, of which 3conv takes a quarter")
        return self


def convolutions(channels: int, connection: Connection) -> nn.Module:
    """A 3×3 convolution, or 3×3 to a quarter of the channels, 1×1, and 3×3 back."""
    if connection == "1conv":
        return nn.Conv2d(channels, channels, 3, padding=1)
    quarter = channels // 4
    return nn.Sequential(
        nn.Conv2d(channels, quarter, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(quarter, quarter, 1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(quarter, channels, 3, padding=1),
    )


class Group(nn.Module):
    """x + convolutions(blocks(x)), (B, C, H, W) → the same shape; every second block has shifted windows."""

    def __init__(self, config: SwinIRConfig, depth: int, heads: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                SwinBlock(config.channels, heads, config.hidden, config.window, shifted=bool(number % 2))
                for number in range(depth)
            )
        )
        self.convolutions = convolutions(config.channels, config.connection)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return features + self.convolutions(self.blocks(features))


class SwinIR(nn.Module):
    """Image (B, channels, H, W) → features (B, config.channels, H, W), any range.

    Windows that the picture's edge cuts are smaller windows, which equals the published shift by rolling with a mask.
    A restorer pads the picture to whole windows, as the published code does. Training is without the published
    stochastic depth.

    Source: Liang et al., "SwinIR: Image Restoration Using Swin Transformer", ICCVW 2021, Section 3, after the
    published code. The restorer's normalization replaces the mean and the image range of that code.
    """

    def __init__(self, config: SwinIRConfig, channels: int) -> None:
        super().__init__()
        self.config, self.out_channels = config, config.out_channels(channels)
        self.shallow = nn.Conv2d(channels, config.channels, 3, padding=1)
        self.first_norm = ChannelNorm(config.channels)
        self.groups = nn.Sequential(
            *(Group(config, depth, heads) for depth, heads in zip(config.depths, config.heads, strict=True))
        )
        self.last_norm = ChannelNorm(config.channels)
        self.convolutions = convolutions(config.channels, config.connection)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        shallow: Tensor = self.shallow(image)
        return shallow + self.convolutions(self.last_norm(self.groups(self.first_norm(shallow))))


SWINIR = ComponentInfo(
    kind="encoder",
    name="swinir",
    factory=SwinIR,
    config=SwinIRConfig,
    summary="groups of blocks with attention within windows, every second one shifted",
    paper="Liang et al., SwinIR: Image Restoration Using Swin Transformer, ICCVW 2021",
    plain=swinir,
    example={"channels": 4, "depths": [2, 2], "heads": [2, 1], "hidden": 6, "window": 4},
    url="https://arxiv.org/abs/2108.10257",
)
