"""timm's backbones as encoders: a pyramid of feature maps, fused at full resolution."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from toolbox.config import EncoderConfig, Padding, fault, located
from toolbox.encoders import timm_backbone
from toolbox.encoders.receptive_field import measured_locality
from toolbox.padding import cropped, padded
from toolbox.records import ComponentInfo


class TimmConfig(EncoderConfig):
    """Settings of an encoder made of a timm backbone."""

    first_weights: ClassVar[frozenset[str]] = frozenset({"pretrained"})
    model: str = Field(description="name of a timm model with features_only, such as resnet18")
    stages: tuple[int, ...] = Field(
        default=(),
        description="numbers of its feature maps, finest first, counted from 0; by default timm's choice",
    )
    channels: int = Field(default=64, gt=0, description="channels that every map is projected to")
    pretrained: Literal[True] | str | None = Field(
        default=None,
        description="first weights: true for those of timm's hub, or the path of a safetensors file; they expect the "
        "normalization that they were trained with",
    )

    @model_validator(mode="before")
    @classmethod
    def _name_stages(cls, data: Any) -> Any:
        """Write the stages into the spec, so that a change of timm's default does not change a stored spec."""
        if not isinstance(data, Mapping) or not isinstance(data.get("model"), str) or data.get("stages"):
            return data
        return {**data, "stages": _stages(data["model"]).usual}

    @model_validator(mode="after")
    def _check_stages(self) -> Self:
        last = _stages(self.model).count - 1
        if wrong := [stage for stage in self.stages if not 0 <= stage <= last]:
            raise fault(("stages",), wrong[0], f"a stage of {self.model!r}, from 0 to {last}")
        if any(after <= before for before, after in pairwise(self.stages)):
            raise fault(("stages",), list(self.stages), "each number once, in rising order")
        try:
            timm_backbone.facts(self.model, self.stages)
        except ValueError as error:
            raise located(("model",), str(error), self.model) from None
        return self

    def out_channels(self, channels: int) -> int:
        return self.channels

    def receptive_field(self) -> int | None:
        return _receptive_field(self.model, self.stages)

    def alignment(self) -> int:
        return timm_backbone.facts(self.model, self.stages).step


def _stages(model: str) -> timm_backbone.Stages:
    if unknown := timm_backbone.unknown(model):
        raise located(("model",), unknown, model)
    try:
        return timm_backbone.stages_of(model)
    except ValueError as error:
        raise located(("model",), str(error), model) from None


@functools.lru_cache(maxsize=256)
def _receptive_field(model: str, stages: tuple[int, ...]) -> int | None:
    """Follow the network; its width plays no part."""
    with torch.device("meta"):
        encoder = TimmPyramid(TimmConfig.model_construct(model=model, stages=stages, channels=1, pretrained=None), 3)
        return measured_locality(encoder.eval(), torch.empty(1, 3, 2 * encoder.step, 3 * encoder.step)).radius


class TimmPyramid(nn.Module):
    """Image (B, channels, H, W) → features (B, config.channels, H, W), any range.

    The encoder projects the maps of a backbone to the same channels and adds them from the coarsest to
    the finest, each bilinearly enlarged to the next. The convolved image is the last map, so that the
    strides of the backbone lose no detail. A 3×3 convolution then smooths the sum. Sizes that the
    backbone does not take are padded at the right and bottom by repeating the edge, and cropped again.

    Source: Wightman, "PyTorch Image Models", 2019, for the backbones; Lin et al., "Feature Pyramid
    Networks for Object Detection", CVPR 2017, Section 3, for the fusion.
    """

    def __init__(self, config: TimmConfig, channels: int) -> None:
        super().__init__()
        facts = timm_backbone.facts(config.model, config.stages)
        self.out_channels = config.channels
        self.step = facts.step
        self.channels_last = facts.channels_last
        self.backbone = timm_backbone.create(config.model, config.stages, channels, config.pretrained)
        self.lateral = nn.ModuleList(nn.Conv2d(count, config.channels, 1) for count in facts.channels)
        self.image = nn.Conv2d(channels, config.channels, 3, padding=1)
        self.smooth = nn.Conv2d(config.channels, config.channels, 3, padding=1)
        self._config = config

    @property
    def receptive_field(self) -> int | None:
        """Radius in pixels around a feature that it depends on; None for the whole image."""
        return self._config.receptive_field()

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        height, width = image.shape[-2:]
        whole = padded(image, Padding(self.step, "replicate"))
        maps = self.backbone(whole)
        if self.channels_last:
            maps = [each.permute(0, 3, 1, 2) for each in maps]
        fused: Tensor | None = None
        for lateral, features in zip(reversed(self.lateral), reversed(maps), strict=True):
            projected = lateral(features)
            fused = projected if fused is None else projected + _enlarged(fused, projected.shape[-2:])
        assert fused is not None  # noqa: S101  # there is a stage
        full = cropped(_enlarged(fused, whole.shape[-2:]), height, width)
        smoothed: Tensor = self.smooth(self.image(image) + full)
        return smoothed


def _enlarged(features: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(features, size, mode="bilinear", align_corners=False)


TIMM_PYRAMID = ComponentInfo(
    kind="encoder",
    name="timm",
    factory=TimmPyramid,
    config=TimmConfig,
    summary="any timm backbone, its feature maps fused at full resolution",
    paper="Wightman, PyTorch Image Models, 2019; Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017",
    example={"model": "test_resnet", "stages": (0, 1), "channels": 4},
    url="https://github.com/huggingface/pytorch-image-models",
)
