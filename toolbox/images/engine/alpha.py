"""Replace colors under full transparency, which must not become visible when a picture is enlarged."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def without_hidden_colors(colors: Tensor, alpha: Tensor) -> Tensor:
    """Colors (1, C, H, W) with those of fully transparent pixels filled in from visible ones nearby.

    Files hold black or anything else there. Interpolation and the network would mix it into the edges of
    visible parts, as dark fringes. Pixels that are not fully transparent stay unchanged. The method is the
    pull-push interpolation of scattered data of Gortler et al., The Lumigraph, SIGGRAPH 1996: averages of
    visible colors in ever coarser grids fill the gaps of finer ones.

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
    """Averages (1, C, H, W): sums of colors divided by their weights, defined everywhere."""
    if min(weights.shape[-2:]) == 1 and max(weights.shape[-2:]) == 1:
        return sums / weights.clamp_min(1e-6)
    height, width = sums.shape[-2:]
    coarse = _push_pull(*(F.avg_pool2d(each, 2, ceil_mode=True, count_include_pad=False) for each in (sums, weights)))
    smooth = F.interpolate(coarse, scale_factor=2, mode="bilinear")[..., :height, :width]
    return torch.where(weights > 0, sums / weights.clamp_min(1e-6), smooth)
