"""The transition of SRFBN: the last state is fed back beside the stem, through projections up and down."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, Correlation, TransitionConfig
from toolbox_feedback.projection import Scale, down, joined, up


class FeedbackConfig(TransitionConfig):
    """Settings of the feedback block."""

    channels: int = Field(default=64, gt=0, description="channels of the state, m in the paper")
    groups: int = Field(default=6, gt=0, le=100, description="pairs of projections up and down, G in the paper")
    scale: Scale = Field(default=2, description="scale of the projections; published networks enlarge by the same")

    def receptive_field(self) -> int | None:
        # One pixel of a projection down sees scale + 4 enlarged pixels, and those see 2 pixels far, or 1 from ×4 on.
        return self.groups * (2 if self.scale < 4 else 1)


class Feedback(nn.Module):
    """State and stem (B, m, H, W) → the next state (B, m, H, W), by G dense pairs of projections.

    Each pair enlarges the features by a transposed convolution and reduces them again. It sees the results of all
    pairs before it, at both sizes. All states share the weights.

    Source: Li et al., "Feedback Network for Image Super-Resolution", CVPR 2019, Section 3.2.
    """

    def __init__(self, config: FeedbackConfig, steps: int) -> None:
        super().__init__()
        width, later = config.channels, range(2, config.groups + 1)
        self.fed_back = joined(width, 2)
        self.joins_low = nn.ModuleList([nn.Identity(), *(joined(width, count) for count in later)])
        self.joins_high = nn.ModuleList([nn.Identity(), *(joined(width, count) for count in later)])
        self.ups = nn.ModuleList(up(width, config.scale) for _ in range(config.groups))
        self.downs = nn.ModuleList(down(width, config.scale) for _ in range(config.groups))
        self.fusion = joined(width, config.groups)

    def forward(
        self, state: Tensor, stem: Tensor, correlation: Correlation | None, step: int
    ) -> tuple[Tensor, Correlation | None]:
        """One state → the next; the correlation passes through unchanged."""
        low, high = [self.fed_back(torch.cat((stem, state), 1))], []
        for join_low, enlarge, join_high, reduce in zip(
            self.joins_low, self.ups, self.joins_high, self.downs, strict=True
        ):
            high.append(enlarge(join_low(torch.cat(low, 1))))
            low.append(reduce(join_high(torch.cat(high, 1))))
        return self.fusion(torch.cat(low[1:], 1)), correlation


FEEDBACK = ComponentInfo(
    kind="transition",
    name="feedback",
    factory=Feedback,
    config=FeedbackConfig,
    summary="SRFBN's feedback block: the state beside the stem, through dense projections up and down",
    paper="Li et al., Feedback Network for Image Super-Resolution, CVPR 2019",
    example={"channels": 4, "groups": 2},
    url="https://arxiv.org/abs/1903.09814",
)
