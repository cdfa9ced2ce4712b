"""Colors beneath transparency: nobody saw them, so nothing of them may show when a picture is enlarged."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def without_hidden_colors(colors: Tensor, alpha: Tensor) -> Tensor:
    """Colors (1, C, H, W) where those of fully transparent pixels come from the visible ones nearby.

    Files hold black or anything there, which interpolation and a network's receptive field would mix
    into the edges of what is visible: dark fringes. Pixels that are visible at all stay as they are.
    It is the pull-push interpolation of scattered data of Gortler et al., The Lumigraph, SIGGRAPH 1996:
    averages of visible colors, in ever coarser grids, fill what the finer ones left open.

    Args:
        colors: any float type, not premultiplied.
        alpha: (1, 1, H, W) in [0, 1].
    """
    hidden = alpha <= 0
    if not hidden.any() or hidden.all():
        return colors
    filled = _push_pull(colors * ~hidden, (~hidden).to(colors))
    return torch.where(hidden, filled, colors)


def _push_pull(sums: Tensor, weights: Tensor) -> Tensor:
    """Averages (1, C, H, W) of sums of colors over the number that was added, everywhere defined."""
    if min(weights.shape[-2:]) == 1 and max(weights.shape[-2:]) == 1:
        return sums / weights.clamp_min(1e-6)
    height, width = sums.shape[-2:]
    coarse = _push_pull(*(F.avg_pool2d(each, 2, ceil_mode=True, count_include_pad=False) for each in (sums, weights)))
    smooth = F.interpolate(coarse, scale_factor=2, mode="bilinear")[..., :height, :width]
    return torch.where(weights > 0, sums / weights.clamp_min(1e-6), smooth)
