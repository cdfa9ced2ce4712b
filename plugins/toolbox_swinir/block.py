"""SwinIR's block: attention among the pixels of a window and an MLP at each pixel, both behind a layer norm."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox_swinir.windows import in_windows

SPREAD = 0.02  # standard deviation of first weights


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel, (B, C, H, W) → the same shape."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SwinBlock(nn.Module):
    """x + projection(attention(norm(x))), then x + MLP(norm(x)), (B, C, H, W) → the same shape.

    Every pixel attends to those of its window. Each head adds to the scores a bias for the offset between the two
    pixels. The windows of a shifted block begin half a window later. Both halves see only the pixels of one window, so
    a block goes over the features window by window.
    """

    def __init__(self, channels: int, heads: int, hidden: int, window: int, *, shifted: bool) -> None:
        super().__init__()
        self.heads, self.window, self.start = heads, window, shift_of(window) if shifted else 0
        self.attention_norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.bias = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))  # of each offset, row by row
        self.projection = nn.Linear(channels, channels)
        self.mlp_norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, hidden)
        self.narrow = nn.Linear(hidden, channels)
        nn.init.trunc_normal_(self.bias, std=SPREAD)
        for linear in (self.qkv, self.projection, self.widen, self.narrow):
            nn.init.trunc_normal_(linear.weight, std=SPREAD)
            nn.init.zeros_(linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        bias = self.bias_of_pairs()

        def of_windows(pixels: Tensor, shape: tuple[int, int], outside: Tensor | None) -> Tensor:
            height, width = shape
            own = bias[:, :height, :width, :height, :width].flatten(3, 4).flatten(1, 2)
            pixels = pixels + self.projection(self.attend(self.attention_norm(pixels), own, outside))
            return pixels + self.narrow(F.gelu(self.widen(self.mlp_norm(pixels))))

        return in_windows(features, self.window, self.start, self.heads, of_windows)

    def bias_of_pairs(self) -> Tensor:
        """(heads, window, window, window, window): the bias for a query at (y, x) and a key at (y, x)."""
        place = torch.arange(self.window, device=self.bias.device)
        offset = place[:, None] - place + self.window - 1
        row = (2 * self.window - 1) * offset[:, None, :, None] + offset[:, None, :]
        return self.bias[row.flatten()].T.contiguous().unflatten(1, row.shape)

    def attend(self, pixels: Tensor, bias: Tensor, outside: Tensor | None) -> Tensor:
        """(windows, pixels, C) and a bias (heads, pixels, pixels) → (windows, pixels, C).

        ``outside`` (different windows, pixels) leaves out keys. Windows of another image repeat it.
        """
        queries, keys, values = self.qkv(pixels).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries = queries / math.sqrt(queries.shape[-1])
        scores = queries.flatten(0, 1) @ keys.flatten(0, 1).mT
        scores = scores.unflatten(0, (-1, self.heads)).add_(bias)
        if outside is not None:
            repeated = scores.unflatten(0, (-1, outside.shape[0]))
            scores = repeated.masked_fill(outside[:, None, None], -math.inf).flatten(0, 1)
        weights = scores.softmax(-1).flatten(0, 1)
        # Transposed, because the product is several times faster with many pixels on its fast axis than few channels.
        gathered = values.mT.flatten(0, 1) @ weights.mT
        return gathered.unflatten(0, (-1, self.heads)).flatten(1, 2).mT.contiguous()


def shift_of(window: int) -> int:
    """The pixel at which the second window of a shifted block begins."""
    return window // 2
