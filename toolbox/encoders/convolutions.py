"""Convolutions one after the other, each with an activation."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from toolbox.config import EncoderConfig, located
from toolbox.records import ComponentInfo


class ConvolutionsConfig(EncoderConfig):
    """Settings of a stack of convolutions."""

    channels: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=1)] = Field(
        default=(64,), description="channels of each convolution, the first one first"
    )
    kernel_sizes: tuple[Literal[1, 3, 5, 7], ...] = Field(
        default=(), description="pixels along a side of each kernel, beginning with the first; 3 for the others"
    )
    activation: Literal["relu", "prelu"] = Field(default="relu", description="a PReLU has one slope for all channels")
    slope: float = Field(default=0.2, ge=0, le=1, description="slope of each PReLU before training")
    activate: Literal["after", "before"] = Field(
        default="after", description="place of the activation: behind or in front of each convolution"
    )

    def out_channels(self, channels: int) -> int:
        return self.channels[-1]

    def receptive_field(self) -> int | None:
        return sum(size // 2 for _, size in self.layers())

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        if len(self.kernel_sizes) > len(self.channels):
            raise located(
                ("kernel_sizes",),
                f"got {len(self.kernel_sizes)} sizes for {len(self.channels)} convolution(s), expected as many at most",
            )
        return self

    def layers(self) -> list[tuple[int, int]]:
        """Channels and kernel size of each convolution."""
        sizes = (*self.kernel_sizes, *[3] * len(self.channels))
        return list(zip(self.channels, sizes, strict=False))


class Convolutions(nn.Module):
    """Image (B, channels, H, W) → features (B, the last of config.channels, H, W), with zeros beyond the border.

    It is the stem of recurrent networks, and with activations in front of the convolutions also the residual unit
    that DRRN repeats. Source: Tai et al., "Image Super-Resolution via Deep Recursive Residual Network", CVPR 2017,
    without batch norm.
    """

    def __init__(self, config: ConvolutionsConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        layers: list[nn.Module] = []
        for width, size in config.layers():
            activation = nn.PReLU(init=config.slope) if config.activation == "prelu" else nn.ReLU()
            convolution = nn.Conv2d(channels, width, size, padding=size // 2)
            layers += [convolution, activation] if config.activate == "after" else [activation, convolution]
            channels = width
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        features: Tensor = self.layers(image)
        return features


CONVOLUTIONS = ComponentInfo(
    kind="encoder",
    name="convolutions",
    factory=Convolutions,
    config=ConvolutionsConfig,
    summary="convolutions one after the other, each with a ReLU or PReLU behind or in front of it",
    paper="Tai et al., Image Super-Resolution via Deep Recursive Residual Network, CVPR 2017",
    example={"channels": [6, 4], "kernel_sizes": [3, 1], "activation": "prelu"},
)
