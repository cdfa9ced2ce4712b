"""Non-local means: a non-local block without parameters, which compares patches directly.

exp(−|p − q|² / h²), normalized over q, is the softmax of (2 p·q − |q|²) / h², since |p|² cancels. So it is
the correlation of embedded patches again, with |q|² as one more embedding channel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from toolbox.config import NonLocalConfig, fault
from toolbox.nonlocal_blocks.attention import attend
from toolbox.nonlocal_blocks.neighborhood import Neighborhood, Window
from toolbox.padding import reflected
from toolbox.records import ComponentInfo


class NLMeansConfig(NonLocalConfig):
    """Settings of non-local means."""

    neighborhood: Neighborhood = Window(size=21)
    patch: int = Field(default=5, gt=0, description="side of the compared square patches; odd")
    strength: float = Field(
        default=0.1, gt=0, description="h: a patch at a root mean squared distance of h weighs 1/e of the pixel itself"
    )

    @field_validator("patch")
    @classmethod
    def _odd(cls, patch: int) -> int:
        if patch % 2 == 0:
            raise fault((), patch, "an odd number")
        return patch

    def receptive_field(self) -> int | None:
        gathered = self.neighborhood.radius()
        return None if gathered is None else gathered + self.patch // 2


class NLMeans(nn.Module):
    """Average the neighborhood of each pixel, weighted by the similarity of patches.

    Features (B, C, H, W) → the same shape and range. Patches are reflected at the border.

    Source: Buades et al., "A Non-Local Algorithm for Image Denoising", CVPR 2005, with the distance
    averaged over the patch, without a Gaussian over it.
    """

    def __init__(self, config: NLMeansConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        self.out_channels = channels

    def forward(self, features: Tensor, correlation: object = None) -> tuple[Tensor, None]:
        """(features, anything) → (features, None)."""
        patches = _patches(features, self.config.patch)
        patches = patches - 0.5  # keeps distances and precision, and a tile is like the whole picture
        precision = 1 / (self.config.strength**2 * patches.shape[1])
        squared = patches.square().sum(1, keepdim=True)
        queries = torch.cat((2 * precision * patches, torch.ones_like(squared)), 1)
        keys = torch.cat((patches, -precision * squared), 1)
        return attend(queries, keys, features, self.config.neighborhood)[0], None


def _patches(image: Tensor, side: int) -> Tensor:
    """(B, C, H, W) → (B, C · side², H, W): the patch around each pixel, reflected at the border."""
    height, width = image.shape[-2:]
    radius = side // 2
    rows, columns = (reflected(length, radius, image, before=radius) for length in (height, width))
    return F.unfold(image.index_select(-2, rows).index_select(-1, columns), side).unflatten(2, (height, width))


NL_MEANS = ComponentInfo(
    kind="nonlocal-block",
    name="nl-means",
    factory=NLMeans,
    config=NLMeansConfig,
    summary="classic non-local means, which compares patches and has nothing to train",
    paper="Buades et al., A Non-Local Algorithm for Image Denoising, CVPR 2005",
    example={"neighborhood": {"kind": "window", "size": 3}, "patch": 3},
)
