"""Protocols: how a score is made. Scores of different protocols do not compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from toolbox.errors import ImageError
from toolbox.evaluation.metrics import luma, psnr
from toolbox.training.degradations import add_noise


@dataclass(frozen=True)
class Protocol:
    """A named way from an original picture to a score in dB.

    ``degrade`` makes the input from the original and a noise level; None where the input is the
    low-resolution picture of a pair. ``score`` sees the restored picture, clipped to [0, 1], the
    original and the scale.
    """

    name: str
    summary: str
    source: str
    gray: bool
    degrade: Callable[[Tensor, float], Tensor] | None
    score: Callable[[Tensor, Tensor, float], float]


def _noisy(original: Tensor, sigma: float) -> Tensor:
    return add_noise(original, sigma, torch.Generator().manual_seed(0))


def _rounded_psnr(restored: Tensor, original: Tensor, scale: float) -> float:
    return psnr((restored * 255).round() / 255, original)


def _luma_psnr(restored: Tensor, original: Tensor, scale: float) -> float:
    shave = round(scale)
    height, width = original.shape[-2:]
    if min(height, width) <= 2 * shave:
        raise ImageError(
            f"got a picture of {width}x{height}, expected one larger than the {shave} px left out all round"
        )
    difference = luma(restored - original)[..., shave : height - shave, shave : width - shave]
    return psnr(difference, torch.zeros_like(difference))


PROTOCOLS = (
    Protocol(
        name="denoise-gray",
        summary="PSNR after Gaussian noise, seed 0 for each picture, not clipped; output rounded to 8 bits",
        source="the usual evaluation of DnCNN and its successors on Set12 and BSD68",
        gray=True,
        degrade=_noisy,
        score=_rounded_psnr,
    ),
    Protocol(
        name="liif-benchmark",
        summary="PSNR of the luma of the difference, borders of `scale` pixels left out, nothing rounded",
        source="the benchmark mode of the published LIIF code",
        gray=False,
        degrade=None,
        score=_luma_psnr,
    ),
)
