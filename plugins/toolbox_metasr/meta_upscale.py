"""Meta-SR's decoder: a small network predicts, from a position, the filter for its pixel.

The filter W_2 h(p) is linear in the hidden layer h, so the pixel is z · (W_2 h(p)) = (z W_2) · h(p), and
z W_2, a 3×3 convolution, is computed once per feature pixel. On a grid at a simple scale, p has few
values, s² for an integer scale s. Then the filters themselves are the convolution.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, Content, DecoderConfig, ImplicitDecoder, Positions, stack
from toolbox_metasr.plain import meta_upscale

EPSILON = 1e-6  # the published shift and clamp, which keep positions off the edges between pixels
MOST_PHASES = 128  # the most filters to compute for every feature pixel


class MetaUpscaleConfig(DecoderConfig):
    """Settings of Meta-SR's decoder."""

    hidden: int = Field(default=256, gt=0, description="channels of the filter network's hidden layer")

    def sizes(self) -> Literal["same", "any"] | int:
        return "any"

    def receptive_field(self) -> int | None:
        return 2  # the corner of an output pixel may lie in the feature pixel before that of its center


class MetaUpscale(ImplicitDecoder):
    """(B, features, H, W) and a size → (B, channels, *size), for any size.

    The inputs of a position are its offset (y, x) in feature pixels and the vertical 1 / scale.

    This departs from the shared conventions. The offset goes from the top-left corner of a feature pixel
    to the top-left corner of the output pixel, in whole feature pixels. The feature pixel is the one that
    covers that corner, moved by 1e-6.

    Source: Hu et al., "Meta-SR: A Magnification-Arbitrary Network for Super-Resolution", CVPR 2019,
    Section 3.2, after the code of the LIIF and DIINN repositories.
    """

    def __init__(self, config: MetaUpscaleConfig, features: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.hidden = nn.Linear(3, config.hidden)
        self.filters = nn.Linear(config.hidden, 9 * features * channels)  # W_2: (features × 3 × 3, channels)

    def prepare(self, features: Tensor) -> Tensor:
        # One convolution per hidden unit and channel, and one for the bias: z W_2 and z b_2.
        weight = torch.cat((self.filters.weight, self.filters.bias[:, None]), 1)
        kernels = rearrange(weight, "(f ky kx c) h -> (h c) f ky kx", f=features.shape[1], ky=3, kx=3, c=self.channels)
        return rearrange(F.conv2d(features, kernels, padding=1), "b c h w -> b h w c")

    def reach(self, pixel: float) -> tuple[int, int]:
        return 1, 1 + math.ceil(pixel / 2)  # from the center of an output pixel to its corner

    def sample(self, content: Content, positions: Positions) -> Tensor:
        height, width = content.height, content.width
        top, left = positions.y - positions.cell[0] / 2, positions.x - positions.cell[1] / 2
        row, y = _covering(top, top.float(), height)
        column, x = _covering(left, left.float(), width)
        hidden = F.relu(self.hidden(stack(y, x, positions.cell[0] * height / 2, like=content.values)))
        hidden = F.pad(hidden, (0, 1), value=1)  # for the bias
        projected = content.at(row.long(), column.long()).unflatten(-1, (-1, self.channels))
        return (projected * hidden[..., None]).sum(-2)

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) → (B, channels, *size)."""
        if torch.compiler.is_compiling():  # the number of phases depends on values
            return super().forward(features, size)
        height, width = features.shape[-2:]
        rows, row_phase, y = _phases(size[0], height)
        columns, column_phase, x = _phases(size[1], width)
        if len(y) * len(x) > MOST_PHASES:
            return super().forward(features, size)
        hidden = F.relu(self.hidden(stack(torch.tensor(y)[:, None], torch.tensor(x), height / size[0], like=features)))
        kernels = rearrange(
            self.filters(hidden),
            "py px (f ky kx c) -> (py px c) f ky kx",
            f=features.shape[1],
            ky=3,
            kx=3,
            c=self.channels,
        )
        filtered = rearrange(
            F.conv2d(features, kernels, padding=1),
            "b (p c) h w -> b (h w p) c",
            c=self.channels,
        )
        row, column = (rows * width * len(y) + row_phase) * len(x), columns * len(y) * len(x) + column_phase
        index = torch.tensor(row[:, None] + column, device=features.device)
        return rearrange(filtered.index_select(1, index.flatten()), "b (h w) c -> b c h w", h=size[0]).contiguous()


def _covering(corner: Any, single: Any, features: int) -> tuple[Any, Any]:
    """The feature pixel that covers each corner, and the corner's offset from its own. Tensors or NumPy arrays.

    The corner in float32, ``single``, decides the pixel, as published.
    """
    inside = (single + EPSILON).clip(-1 + EPSILON, 1 - EPSILON)
    pixel = (((inside + 1) * features - 1) / 2).round()
    return pixel, (corner + 1) * (features / 2) - pixel


def _phases(outputs: int, features: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The feature pixel and the phase of each output pixel along one axis, and the offset of each phase.

    They depend only on sizes, hence NumPy: to torch.export they are constants.
    """
    corner = (2 * np.arange(outputs) + 1) / outputs - 1 - 1 / outputs
    pixel, offset = _covering(corner, corner.astype(np.float32), features)
    # Offsets of the same phase differ by rounding only.
    offsets, phase = np.unique((offset * 2**20).round() / 2**20, return_inverse=True)
    return pixel.astype(np.int64), phase, offsets


META_UPSCALE = ComponentInfo(
    kind="decoder",
    name="meta-upscale",
    factory=MetaUpscale,
    config=MetaUpscaleConfig,
    summary="Meta-SR: a network predicts the filter of each output pixel from its position, at any size",
    paper="Hu et al., Meta-SR: A Magnification-Arbitrary Network for Super-Resolution, CVPR 2019",
    plain=meta_upscale,
    example={"hidden": 5},
    url="https://arxiv.org/abs/1903.00875",
)
