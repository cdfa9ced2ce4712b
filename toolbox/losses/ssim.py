"""The loss of structural similarity."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from toolbox.config import LossConfig
from toolbox.learning import LossInput
from toolbox.records import LossInfo
from toolbox.similarity import WINDOW, similarity


class SSIMConfig(LossConfig):
    """No settings."""

    smallest: ClassVar[int] = WINDOW


def ssim(given: LossInput) -> Tensor:
    """1 − SSIM, over the region where the window fits, averaged over channels."""
    luminance, structure = similarity(given.restored, given.clean)
    return 1 - (luminance * structure).mean()


def _factory(config: Any, restorer: Any) -> Any:
    return ssim


SSIM = LossInfo(
    name="ssim",
    factory=_factory,
    config=SSIMConfig,
    summary="one minus the structural similarity",
    source="Zhao et al., Loss Functions for Image Restoration with Neural Networks, IEEE TCI 2017",
)
