"""Metrics: the distance of a restored picture from the original.

Pictures are float tensors (B, C, H, W) in [0, 1] of the same shape. Every metric averages over all
values and computes in double precision.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.discovery import installed
from toolbox.errors import ImageError, ToolboxError
from toolbox.records import MetricInfo
from toolbox.similarity import WINDOW, similarity

BLOCK = 8  # side of JPEG's blocks, in pixels
LEVELS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # MS-SSIM's exponents, the finest level first
SMALLEST = 1 + (WINDOW - 1) * 2 ** (len(LEVELS) - 1)  # the smallest side that holds a window at the last level


def psnr(restored: Tensor, original: Tensor) -> float:
    """Peak signal-to-noise ratio in dB; infinite when the pictures are equal."""
    _check_shapes(restored, original)
    error = (restored.double() - original.double()).square().mean()
    return (-10 * torch.log10(error)).item()


def psnr_b(restored: Tensor, original: Tensor) -> float:
    """PSNR in dB that counts remaining edges of JPEG's 8 × 8 blocks as errors.

    Steps across these edges are an additional error if they are larger than steps elsewhere.

    Source: Yim and Bovik, Quality Assessment of Deblocked Images, IEEE TIP 2011, Eqs. 8 to 14; the
    blocking effect of colors is the mean of the channels'.
    """
    _check_shapes(restored, original, smallest=BLOCK + 1)
    error = (restored.double() - original.double()).square().mean()
    return (-10 * torch.log10(error + _blocking(restored.double()))).item()


def _blocking(image: Tensor) -> Tensor:
    """The blocking effect factor of (B, C, H, W), a mean over B and C."""
    sums = []
    for steps in (image.diff(dim=2).square().transpose(2, 3), image.diff(dim=3).square()):
        across = steps[..., BLOCK - 1 :: BLOCK]
        total, count = steps.sum((2, 3)), steps[0, 0].numel()
        sums.append((across.sum((2, 3)), across[0, 0].numel(), total, count))
    (edges, edge_count, total, count) = (first + second for first, second in zip(*sums, strict=True))
    at_edges, elsewhere = edges / edge_count, (total - edges) / (count - edge_count)
    weight = math.log2(BLOCK) / math.log2(min(image.shape[-2:]))
    return (weight * (at_edges - elsewhere).clamp(min=0)).mean()


def ssim(restored: Tensor, original: Tensor) -> float:
    """Structural similarity, 1 when equal, over the region where the window fits (the reference's "valid").

    Source: Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity,
    IEEE TIP 2004, without its automatic reduction, averaged over channels.
    """
    _check_shapes(restored, original, smallest=WINDOW)
    luminance, structure = similarity(restored.double(), original.double())
    return (luminance * structure).mean().item()


def ms_ssim(restored: Tensor, original: Tensor) -> float:
    """Structural similarity over five halvings of the picture, 1 when equal.

    Source: Wang, Simoncelli and Bovik, Multiscale Structural Similarity for Image Quality Assessment,
    Asilomar 2003. A negative mean counts as 0.
    """
    _check_shapes(restored, original, smallest=SMALLEST)
    restored, original = restored.double(), original.double()
    total = torch.ones(restored.shape[:2], dtype=torch.float64, device=restored.device)
    for level, exponent in enumerate(LEVELS):
        if level > 0:
            restored, original = (F.avg_pool2d(image, 2, ceil_mode=True) for image in (restored, original))
        luminance, structure = similarity(restored, original)
        factor = luminance * structure if level == len(LEVELS) - 1 else structure
        total = total * factor.mean((2, 3)).clamp(min=0) ** exponent
    return total.mean().item()


def lr_psnr(restored: Tensor, low: Tensor) -> float:
    """PSNR in dB of the restored picture, reduced again by an antialiased bicubic, against its input."""
    size = (low.shape[-2], low.shape[-1])
    return psnr(F.interpolate(restored.double(), size, mode="bicubic", antialias=True), low)


def lpips(restored: Tensor, original: Tensor) -> float:
    """Learned perceptual distance, 0 when equal, by the package ``lpips`` on AlexNet's features.

    Source: Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR
    2018. The package downloads AlexNet's weights on first use.

    Raises:
        ToolboxError: the package is not installed.
    """
    _check_shapes(restored, original)
    network = lpips_network().to(restored.device)
    with torch.inference_mode():
        distance: Tensor = network(*(2 * image.float().expand(-1, 3, -1, -1) - 1 for image in (restored, original)))
    return distance.mean().item()


@functools.cache
def lpips_network() -> nn.Module:
    """The network of ``lpips``.

    Raises:
        ToolboxError: the package is not installed, or cannot get its weights.
    """
    try:
        from lpips import LPIPS

        network: nn.Module = LPIPS(net="alex", verbose=False).eval()
    except ImportError:
        raise ToolboxError(
            "lpips needs a package that is not installed; pip install 'toolbox-restoration[lpips]'"
        ) from None
    except OSError as error:
        raise ToolboxError(f"lpips cannot get the weights of its network: {error}") from None
    return network


def _check_shapes(restored: Tensor, original: Tensor, smallest: int = 1) -> None:
    if restored.shape != original.shape:
        raise ImageError(
            f"got pictures of shapes {tuple(restored.shape)} and {tuple(original.shape)}, expected the same"
        )
    height, width = original.shape[-2:]
    if min(height, width) < smallest:
        raise ImageError(f"got a picture of {width}x{height}, expected at least {smallest}x{smallest} to compare")


def metric(name: str) -> MetricInfo:
    """The metric of that name.

    Raises:
        UnknownComponent: there is none; the message suggests close names.
    """
    return installed().metrics[name]


def describe(info: MetricInfo) -> dict[str, str]:
    """A complete description of a metric in words, by topic."""
    return {
        "label": f"{info.label} in {info.unit}" if info.unit else info.label,
        "better": "higher" if info.higher_is_better else "lower",
        "compares with": f"the {info.compares_with}",
        "source": info.source,
        "plugin": info.provider,
    }


METRICS = (
    MetricInfo(
        name="psnr",
        measure=psnr,
        label="PSNR",
        summary="peak signal-to-noise ratio, infinite for equal pictures",
        source="the usual definition, for a peak of 1",
        digits=2,
        unit="dB",
    ),
    MetricInfo(
        name="ssim",
        measure=ssim,
        label="SSIM",
        summary="structural similarity, 1 for equal pictures",
        source="Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, IEEE TIP 2004",
    ),
    MetricInfo(
        name="ms-ssim",
        measure=ms_ssim,
        label="MS-SSIM",
        summary="structural similarity over five halvings of the picture, 1 for equal pictures",
        source="Wang et al., Multiscale Structural Similarity for Image Quality Assessment, Asilomar 2003",
    ),
    MetricInfo(
        name="lpips",
        measure=lpips,
        label="LPIPS",
        summary="learned perceptual distance on the features of AlexNet, 0 for equal pictures",
        source="Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018",
        higher_is_better=False,
        ready=lpips_network,
    ),
    MetricInfo(
        name="psnr-b",
        measure=psnr_b,
        label="PSNR-B",
        summary="PSNR that counts the edges of JPEG's blocks as errors",
        source="Yim and Bovik, Quality Assessment of Deblocked Images, IEEE TIP 2011",
        digits=2,
        unit="dB",
    ),
    MetricInfo(
        name="lr-psnr",
        measure=lr_psnr,
        label="LR-PSNR",
        summary="PSNR of the restored picture, reduced again, against its input",
        source="DIINN (Nguyen and Beksi, WACV 2023)",
        digits=2,
        unit="dB",
        compares_with="input",
    ),
)
