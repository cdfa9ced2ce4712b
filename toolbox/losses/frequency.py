"""The frequency loss, in which fine detail weighs as much as large shapes."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.config import LossConfig
from toolbox.learning import LossInput
from toolbox.records import LossInfo


class FrequencyConfig(LossConfig):
    """No settings."""


def frequency(given: LossInput) -> Tensor:
    """The mean absolute difference of the real and imaginary parts of the Fourier transforms, not normalized."""
    restored, clean = (torch.view_as_real(torch.fft.fft2(each)) for each in (given.restored, given.clean))
    return F.l1_loss(restored, clean)


def _factory(config: Any, restorer: Any) -> Any:
    return frequency


FREQUENCY = LossInfo(
    name="frequency",
    factory=_factory,
    config=FrequencyConfig,
    summary="mean absolute difference of Fourier transforms, for use with a small weight",
    source="Cho et al., Rethinking Coarse-to-Fine Approach in Single Image Deblurring, ICCV 2021, with a weight of 0.1",
)
