"""RCAN's encoder: residual blocks with channel attention, in groups with skips of their own.

The factors of channel attention follow from the mean of what the second convolution gives. That mean is linear in the
features before the convolution: for each position of the 3×3 kernel it needs the mean of the pixels that the position
meets. So the factors exist before the convolution, and multiply its weights instead of its result.
"""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, EncoderConfig, fault
from toolbox_rcan.plain import rcan


class RCANConfig(EncoderConfig):
    """Settings of RCAN; the defaults are the published ones."""

    channels: int = Field(default=64, gt=0)
    groups: int = Field(default=10, gt=0, le=1000, description="residual groups, each with a skip")
    blocks: int = Field(default=20, gt=0, le=1000, description="residual blocks in each group")
    reduction: int = Field(default=16, gt=0, description="channels over those inside the channel attention")
    residual_scale: float = Field(default=1.0, gt=0, description="each block's output is multiplied by this")

    def out_channels(self, channels: int) -> int:
        return self.channels

    def receptive_field(self) -> int | None:
        return None  # channel attention needs the mean over the image

    @model_validator(mode="after")
    def _check_reduction(self) -> Self:
        if self.reduction > self.channels:
            raise fault(("reduction",), self.reduction, f"at most {self.channels}, the number of channels")
        return self


class ChannelAttention(nn.Module):
    """The mean of each channel (B, C) → a factor from 0 to 1 for each (B, C)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // reduction)
        self.excite = nn.Linear(channels // reduction, channels)

    def forward(self, mean: Tensor) -> Tensor:
        """(B, C) → (B, C)."""
        return self.excite(F.relu(self.squeeze(mean))).sigmoid()


class AttendedBlock(nn.Module):
    """x + scale · s · conv(ReLU(conv(x))) for the factors s of channel attention, (B, C, H, W) → the same shape."""

    def __init__(self, config: RCANConfig) -> None:
        super().__init__()
        self.scale = config.residual_scale
        self.first = nn.Conv2d(config.channels, config.channels, 3, padding=1)
        self.second = nn.Conv2d(config.channels, config.channels, 3, padding=1)
        self.attention = ChannelAttention(config.channels, config.reduction)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        hidden = F.relu(self.first(features), inplace=True)
        factors = self.scale * self.attention(mean_after(self.second, hidden))
        # Images of a batch have factors of their own, so one convolution cannot have them all in its weights.
        if torch.compiler.is_compiling() or len(hidden) > 1:
            return torch.addcmul(features, self.second(hidden), factors[:, :, None, None])
        weight = self.second.weight * factors.view(-1, 1, 1, 1)
        return F.conv2d(hidden, weight, self.second.bias * factors[0], padding=1).add_(features)


def mean_after(convolution: nn.Conv2d, features: Tensor) -> Tensor:
    """The mean over the image of what a 3×3 convolution with zeros beyond the border gives: (B, C, H, W) → (B, C').

    The top row of the kernel meets every row of the features but the last, the bottom row every row but the first, and
    columns alike.
    """
    height, width = features.shape[2:]
    rows = features.mean(2)
    rows = torch.stack((rows - features[:, :, -1] / height, rows, rows - features[:, :, 0] / height), 2)
    met = rows.mean(3)
    met = torch.stack((met - rows[..., -1] / width, met, met - rows[..., 0] / width), 3)
    return F.linear(met.flatten(1), convolution.weight.flatten(1), convolution.bias)


class ResidualGroup(nn.Module):
    """x + conv(blocks(x)), (B, C, H, W) → the same shape."""

    def __init__(self, config: RCANConfig) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(AttendedBlock(config) for _ in range(config.blocks)))
        self.tail = nn.Conv2d(config.channels, config.channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        residual: Tensor = self.tail(self.blocks(features))
        return residual.add_(features)


class RCAN(nn.Module):
    """Image (B, channels, H, W) → features (B, config.channels, H, W), any range.

    Channel attention takes means over the whole image, so features of a part differ from those of the whole.

    Source: Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks", ECCV 2018. The
    restorer's normalization replaces the mean shift of the published code, and the pixel-shuffle decoder its upsampler.
    """

    def __init__(self, config: RCANConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        self.head = nn.Conv2d(channels, config.channels, 3, padding=1)
        self.groups = nn.Sequential(*(ResidualGroup(config) for _ in range(config.groups)))
        self.tail = nn.Conv2d(config.channels, config.channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        shallow: Tensor = self.head(image)
        residual: Tensor = self.tail(self.groups(shallow))
        return residual.add_(shallow)


RCAN_ENCODER = ComponentInfo(
    kind="encoder",
    name="rcan",
    factory=RCAN,
    config=RCANConfig,
    summary="RCAN: residual blocks with channel attention, in groups",
    paper="Zhang et al., Image Super-Resolution Using Very Deep Residual Channel Attention Networks, ECCV 2018",
    plain=rcan,
    example={"channels": 4, "groups": 1, "blocks": 2, "reduction": 2},
    url="https://arxiv.org/abs/1807.02758",
)
