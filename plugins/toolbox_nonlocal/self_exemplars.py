"""CSNLN's decoder: a cell that mines the features for larger copies of themselves, again and again."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, DecoderConfig, Padding, Whole, attend
from toolbox_nonlocal.exemplars import Across, embedding
from toolbox_nonlocal.plain import self_exemplars

WHOLE = Whole()  # made once, since torch.compile cannot trace the checks of a config


class SelfExemplarsConfig(DecoderConfig):
    """Settings of CSNLN's decoder."""

    scale: Literal[2, 3, 4] = 2
    steps: int = Field(default=12, gt=0, le=100, description="states, which share the cell's weights")

    def sizes(self) -> Literal["same", "any"] | int:
        return self.scale

    def receptive_field(self) -> int | None:
        return None

    def padding(self) -> Padding:
        return Padding(3 if self.scale == 3 else 2, "reflect")


class Exemplars(nn.Module):
    """Features (B, C, H, W) → (B, C, s · H, s · W), by attention across scales and within the scale."""

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__()
        embedded = max(1, channels // 2)
        self.across = Across(channels, scale)
        self.query, self.key, self.value = (embedding(channels, width) for width in (embedded, embedded, channels))
        self.enlarge = _resized(nn.ConvTranspose2d, channels, scale)
        self.error = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.PReLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, s · H, s · W)."""
        gathered, _ = attend(self.query(features), self.key(features), self.value(features), WHOLE)
        low: Tensor = self.enlarge(gathered)
        error = self.across(features) - low
        return low + error + self.error(error)


class Stage(nn.Module):
    """Exemplars of the features at s times their size, corrected by what they lack when reduced again."""

    def __init__(self, channels: int, scale: int, total: int) -> None:
        super().__init__()
        self.exemplars = Exemplars(channels, scale)
        self.reduce = _resized(nn.Conv2d, channels, total)
        self.enlarge = _resized(nn.ConvTranspose2d, channels, total)

    def forward(self, features: Tensor, state: Tensor) -> Tensor:
        """Features (B, C, h, w) of any stage and the state (B, C, H, W) → (B, C, s · h, s · w)."""
        larger: Tensor = self.exemplars(features)
        return larger + self.enlarge(state - self.reduce(larger))


class SelfExemplars(nn.Module):
    """Features (B, C, H, W) → image (B, channels, s · H, s · W); sides are multiples of 2 or 3.

    A cell takes a state to a larger map and to the next state, with the same weights for all states. A convolution
    sees the larger maps of all states. ×4 is twice ×2 within the cell. The receptive field is the whole image.

    Source: Mei et al., "Image Super-Resolution with Cross-Scale Non-Local Attention and Exhaustive Self-Exemplars
    Mining", CVPR 2020, after the published code.
    """

    def __init__(self, config: SelfExemplarsConfig, features: int, channels: int) -> None:
        super().__init__()
        self.steps = config.steps
        factors = (2, 2) if config.scale == 4 else (config.scale,)
        totals = (2, 4) if config.scale == 4 else factors
        self.stages = nn.ModuleList(Stage(features, *each) for each in zip(factors, totals, strict=True))
        self.reduce = _resized(nn.Conv2d, features, config.scale)
        self.next = nn.Sequential(nn.Conv2d(features, features, 3, padding=1), nn.PReLU())
        self.conv = nn.Conv2d(config.steps * features, channels, 3, padding=1)

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, C, H, W) and (s · H, s · W) → (B, channels, s · H, s · W)."""
        state = features
        larger: list[Tensor] = []
        for step in range(self.steps):
            if step:
                state = self.next(self.reduce(larger[-1]))
            found = state
            for stage in self.stages:
                found = stage(found, state)
            larger.append(found)
        image: Tensor = self.conv(torch.cat(larger, 1))
        return image


def _resized(kind: type[nn.Conv2d | nn.ConvTranspose2d], channels: int, scale: int) -> nn.Sequential:
    """A convolution that reduces or enlarges by ``scale``, with a PReLU."""
    kernel, padding = {2: (6, 2), 3: (9, 3), 4: (8, 2)}[scale]
    return nn.Sequential(kind(channels, channels, kernel, stride=scale, padding=padding), nn.PReLU())


SELF_EXEMPLARS = ComponentInfo(
    kind="decoder",
    name="self-exemplars",
    factory=SelfExemplars,
    config=SelfExemplarsConfig,
    summary="CSNLN: a recurrent cell enlarges features by attention across scales, ×2, ×3 or ×4",
    paper="Mei et al., Image Super-Resolution with Cross-Scale Non-Local Attention, CVPR 2020",
    plain=self_exemplars,
    example={"steps": 2},
    url="https://arxiv.org/abs/2006.01424",
)
