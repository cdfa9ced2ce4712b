"""Metrics: the distance of a restored picture from the original.

Pictures are float tensors (B, C, H, W) in [0, 1] of the same shape. Every metric averages over all
values and computes in double precision.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.errors import ImageError, ToolboxError

WINDOW, SIGMA = 11, 1.5  # SSIM's Gaussian window
C1, C2 = 0.01**2, 0.03**2  # constants that keep its quotients finite
LEVELS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # MS-SSIM's exponents, the finest level first
SMALLEST = 1 + (WINDOW - 1) * 2 ** (len(LEVELS) - 1)  # the smallest side that holds a window at the last level


def psnr(restored: Tensor, original: Tensor) -> float:
    """Peak signal-to-noise ratio in dB; infinite when the pictures are equal."""
    _check_shapes(restored, original)
    error = (restored.double() - original.double()).square().mean()
    return (-10 * torch.log10(error)).item()


def ssim(restored: Tensor, original: Tensor) -> float:
    """Structural similarity, 1 when equal, over the region where the window fits (the reference's "valid").

    Source: Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity,
    IEEE TIP 2004, without its automatic reduction, averaged over channels.
    """
    _check_shapes(restored, original, smallest=WINDOW)
    luminance, structure = _similarity(restored.double(), original.double())
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
        luminance, structure = _similarity(restored, original)
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


@dataclass(frozen=True)
class Metric:
    """A metric: its function, and its name and form in tables."""

    label: str
    digits: int
    measure: Callable[[Tensor, Tensor], float]


METRICS: Mapping[str, Metric] = {
    "psnr": Metric("PSNR", 2, psnr),
    "ssim": Metric("SSIM", 4, ssim),
    "ms-ssim": Metric("MS-SSIM", 4, ms_ssim),
    "lpips": Metric("LPIPS", 4, lpips),
    "lr-psnr": Metric("LR-PSNR", 2, lr_psnr),  # compares with the input instead of the original
}


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


def _similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The luminance and the contrast-structure term of SSIM at each position of the window."""
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variances = _window_mean(x * x) - mean_x**2 + _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return luminance, (2 * covariance + C2) / (variances + C2)


def _window_mean(image: Tensor) -> Tensor:
    """(B, C, H, W) → (B, C, H − 10, W − 10): the Gaussian mean around each pixel."""
    distance = torch.arange(WINDOW, dtype=image.dtype, device=image.device) - WINDOW // 2
    weights = torch.exp(-(distance**2) / (2 * SIGMA**2))
    weights = weights / weights.sum()
    planes = image.flatten(0, 1)[:, None]
    means = F.conv2d(F.conv2d(planes, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
    return means.view(*image.shape[:2], *means.shape[2:])


def _check_shapes(restored: Tensor, original: Tensor, smallest: int = 1) -> None:
    if restored.shape != original.shape:
        raise ImageError(
            f"got pictures of shapes {tuple(restored.shape)} and {tuple(original.shape)}, expected the same"
        )
    height, width = original.shape[-2:]
    if min(height, width) < smallest:
        raise ImageError(f"got a picture of {width}x{height}, expected at least {smallest}x{smallest} to compare")
