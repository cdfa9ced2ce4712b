"""DIINN's decoder: two networks side by side, one for what is there and one for where it is.

Per output pixel and layer i, modulation k_i = ReLU(K_i ·) carries the content, synthesis
s_i = sin(Q_i ·) the position, and q_i = k_i · s_i joins them. The content z of an output pixel is
the 3×3 neighborhood of its nearest feature pixel, so it is the same for all output pixels of one
feature pixel. Hence K_i [q; z] = A_i q + B_i z, where B_i z, a 3×3 convolution, is computed once
per feature pixel, and only A_i q once per output pixel.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn

from toolbox.config import DecoderConfig
from toolbox.decoders.coordinates import Axis, axis
from toolbox.registry import ComponentInfo

CHUNK = 16384  # output pixels decoded at a time, so that memory does not grow with the output


class DualInteractiveConfig(DecoderConfig):
    """Settings of DIINN's decoder; the paper's ablation a–f is modulation_input × initial_synthesis."""

    hidden: tuple[int, ...] = Field(default=(256, 256, 256, 256), min_length=1, description="channels of each layer")
    modulation_input: Literal["modulation", "modulation+content", "synthesis+content"] = Field(
        default="synthesis+content",
        description="what each modulation layer after the first takes: the modulation before it (published "
        "mode 1), the same with the content (mode 2), or the synthesis with the content (mode 3, the final model)",
    )
    initial_synthesis: bool = Field(
        default=False, description="the content is multiplied by a first sine of the position (init_q)"
    )
    output_kernel: Literal[1, 3] = Field(default=1, description="of the last convolution; 3 is published mode 4")

    def sizes(self) -> Literal["same", "any"] | int:
        return "any"

    def receptive_field(self) -> int | None:
        return 1 if self.output_kernel == 1 else 2


class DualInteractive(nn.Module):
    """(B, features, H, W) and a size → (B, channels, *size), for any size.

    The position p of an output pixel is its offset (y, x) from the center of the nearest feature
    pixel, in half feature pixels, and the ratio H·W / (H'·W') of the areas. The nearest pixel is
    torch's ``nearest-exact``, with its rounding at ties.

    Source: Nguyen & Beksi, "Single Image Super-Resolution via a Dual Interactive Implicit Neural
    Network", WACV 2023, Section 3.2, after the published code. Its 1×1 convolutions of unfolded
    features are kept here as 3×3 convolutions, which is the same function.
    """

    def __init__(self, config: DualInteractiveConfig, features: int, channels: int) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden
        content_everywhere = config.modulation_input != "modulation"
        content_layers = hidden if content_everywhere else hidden[:1]
        position = 9 * features if config.initial_synthesis else 3
        # B_i of every layer that takes the content, stacked; K_i's bias is in here or, without content, in A_i.
        self.content = nn.Conv2d(features, sum(content_layers), 3, padding=1)
        self.modulation = nn.ModuleList(
            nn.Linear(before, after, bias=not content_everywhere) for before, after in pairwise(hidden)
        )
        self.synthesis = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise((position, *hidden)))
        self.initial = nn.Linear(3, position) if config.initial_synthesis else None
        kernel = config.output_kernel
        self.output = nn.Conv2d(hidden[-1], channels, kernel, padding=kernel // 2, padding_mode="reflect")

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) → (B, channels, *size)."""
        height, width = features.shape[-2:]
        rows, columns = axis(height, size[0], features), axis(width, size[1], features)
        ratio = height * width / (size[0] * size[1])
        if self.initial is None:
            content = rearrange(self.content(features), "b c h w -> b h w c")
        else:
            content = rearrange(F.unfold(features, 3, padding=1), "b c (h w) -> b h w c", h=height)
        step = max(1, CHUNK // size[1])
        synthesized = []
        for start in range(0, size[0], step):
            chunk = Axis(rows.nearest[start : start + step], rows.offset[start : start + step])
            pixels = content.index_select(1, chunk.nearest).index_select(2, columns.nearest)
            synthesis = rearrange(self._synthesize(pixels, chunk, columns, ratio), "b h w c -> b c h w")
            synthesized.append(synthesis if self.config.output_kernel == 3 else self.output(synthesis))
        image = torch.cat(synthesized, 2)
        return self.output(image) if self.config.output_kernel == 3 else image

    def _synthesize(self, content: Tensor, rows: Axis, columns: Axis, ratio: float) -> Tensor:
        """Content (B, h, w, C) of these rows → q of the last layer, (B, h, w, hidden[-1])."""
        position = torch.stack(
            (
                rows.offset[:, None].expand(-1, len(columns.offset)),
                columns.offset[None, :].expand(len(rows.offset), -1),
                content.new_full((len(rows.offset), len(columns.offset)), ratio),
            ),
            -1,
        )
        if self.initial is not None:
            position = torch.sin(self.initial(position))
            weight = self.content.weight.flatten(1)  # channels × 3 × 3, the order of unfold
            content = F.linear(content * position, weight, self.content.bias)
        from_content = content.split(self.config.hidden[: self._content_layers()], -1)
        k = F.relu(from_content[0])
        q = k * torch.sin(self.synthesis[0](position))
        for i, (modulation, synthesis) in enumerate(zip(self.modulation, self.synthesis[1:], strict=True), 1):
            k = modulation(q if self.config.modulation_input == "synthesis+content" else k)
            if i < len(from_content):
                k = k + from_content[i]
            k = F.relu(k)
            q = k * torch.sin(synthesis(q))
        return q

    def _content_layers(self) -> int:
        return 1 if self.config.modulation_input == "modulation" else len(self.config.hidden)


DUAL_INTERACTIVE = ComponentInfo(
    kind="decoder",
    name="dual-interactive",
    factory=DualInteractive,
    config=DualInteractiveConfig,
    summary="two interacting networks, content modulating a synthesis by position, at any size",
    paper="Nguyen & Beksi, Single Image Super-Resolution via a Dual Interactive Implicit Neural Network, WACV 2023",
)
