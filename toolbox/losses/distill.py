"""Learn from another network: from its results or its features."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from toolbox.config import LossConfig
from toolbox.errors import SpecError
from toolbox.learning import LossInput
from toolbox.points import decode_at
from toolbox.records import LossInfo
from toolbox.restorer import Restorer
from toolbox.weights.file import load
from toolbox.weights.find import ModelName


class DistillConfig(LossConfig):
    """Settings of learning from a teacher."""

    pointwise: ClassVar[bool] = True
    teacher: ModelName = Field(description="a weights file, or a name of the catalog or the hub (hf://user/repo)")
    match: Literal["output", "features"] = Field(
        default="output", description="the network learns this from its teacher; features go through a projection"
    )


class Distill(nn.Module):
    """The mean absolute difference from the teacher's output, or the mean squared one from its features.

    A 1×1 convolution maps the features for the comparison. It is trained with the network and thrown away at the end.

    Source: Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, for features.
    """

    def __init__(self, config: DistillConfig, restorer: Restorer) -> None:
        super().__init__()
        teacher = load(str(config.teacher)).requires_grad_(False)
        _check(config, teacher, restorer)
        self.teacher = [teacher]  # in a list, so that it is neither trained nor kept
        self.match = config.match
        if config.match == "features":
            own, theirs = (
                each.spec.encoder.config.out_channels(each.spec.encoder_channels) for each in (restorer, teacher)
            )
            self.projection = nn.Conv2d(own, theirs, 1)

    def forward(self, given: LossInput) -> Tensor:
        """A restored batch → one number."""
        teacher, degraded = self.teacher[0].to(given.degraded.device), given.degraded
        with torch.no_grad():
            conditions = {name: given.conditions[name] for name in teacher.spec.conditions}
            features = teacher.encode(teacher.pad(teacher.with_conditions(degraded, conditions)))
            if self.match == "output":
                shown = decode_at(teacher, features, degraded, given.size, given.points)
        if self.match == "output":
            return F.l1_loss(given.restored, shown)
        height, width = degraded.shape[-2:]
        projected: Tensor = self.projection(given.features[..., :height, :width])
        return F.mse_loss(projected, features[..., :height, :width])


def _check(config: DistillConfig, teacher: Restorer, restorer: Restorer) -> None:
    if teacher.channels != restorer.channels:
        raise SpecError(
            f"distill: teacher {config.teacher} is for {teacher.channels} channels, not {restorer.channels}"
        )
    if unknown := [name for name in teacher.spec.conditions if name not in restorer.spec.conditions]:
        raise SpecError(f"distill: teacher {config.teacher} needs {', '.join(unknown)}, which the network is not told")
    if config.match == "output" and teacher.sizes not in ("any", restorer.sizes):
        raise SpecError(
            f"distill: teacher {config.teacher} gives the sizes {teacher.sizes!r}, the network {restorer.sizes!r}; "
            "match its features"
        )


DISTILL = LossInfo(
    name="distill",
    factory=Distill,
    config=DistillConfig,
    summary="difference from another network's result for the same input",
    source="Hinton et al., Distilling the Knowledge in a Neural Network, 2015; Romero et al., FitNets, ICLR 2015",
    example={"teacher": "bicubic"},
)
