"""Super-resolution as in NLRN: enlarge bicubically, then restore the luma at that size.

Only luma changes. Chroma is a linear function of RGB that a gray change does not affect, so the refined
picture is the bicubic one plus the change of luma on every channel.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from toolbox.plugin import LUMA, ComponentInfo, DecoderConfig, DecoderSpec, EncoderSpec, located, luma, resize


class RefineLumaConfig(DecoderConfig):
    """Settings of the decoder that refines a bicubic enlargement."""

    encoder: EncoderSpec
    decoder: DecoderSpec
    white: float = Field(default=1.0, gt=0, description="the value of white in the input of this decoder")

    def sizes(self) -> Literal["same", "any"] | int:
        return "any"

    def receptive_field(self) -> int | None:
        """The radius in pixels of the enlarged image, which is an upper bound when enlarging."""
        parts = [self.encoder.config.receptive_field(), self.decoder.config.receptive_field()]
        return None if None in parts else sum(parts) + 2

    def check_join(self, features: int, channels: int) -> None:
        if features != channels or channels not in (1, 3):
            raise ValueError(f"refine-luma got {features} channels, expected a gray or RGB image; use encoder identity")

    @model_validator(mode="after")
    def _check_inside(self) -> Self:
        if self.decoder.config.sizes() not in ("same", "any"):
            raise located(("decoder",), f"got {self.decoder.name!r}, expected a decoder of the same size")
        try:
            inside = self.encoder.config.out_channels(1)
        except ValueError as error:
            raise located(("encoder",), str(error)) from None
        try:
            self.decoder.config.check_join(inside, 1)
        except ValueError as error:
            raise located(("decoder",), f"{error} (encoder {self.encoder.name!r} gives {inside} channels)") from None
        return self


class RefineLuma(nn.Module):
    """Image (B, 1 or 3, H, W) → (B, the same channels, *size): luma restored, chroma bicubic.

    The network inside sees the luma of the enlarged image and adds a residual to it. Luma is
    MATLAB's, in [16, 235] of 255.

    Source: the super-resolution experiments of Liu et al., NeurIPS 2018, Section 4.
    """

    def __init__(self, config: RefineLumaConfig, features: int, channels: int) -> None:
        super().__init__()
        self.black = config.white * 16 / 255
        self.encoder = config.encoder.build(channels=1)
        self.decoder = config.decoder.build(features=config.encoder.config.out_channels(1), channels=1)

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, C, H, W) → (B, C, *size)."""
        enlarged = resize(features, size)
        if features.shape[1] == 1:
            return enlarged + self.decoder(self.encoder(enlarged), size)
        residual = self.decoder(self.encoder(luma(enlarged) + self.black), size)
        return enlarged + residual / sum(LUMA)


REFINE_LUMA = ComponentInfo(
    kind="decoder",
    name="refine-luma",
    factory=RefineLuma,
    config=RefineLumaConfig,
    summary="bicubic enlargement whose luma an encoder and a decoder restore; chroma stays bicubic",
    paper="Liu et al., Non-Local Recurrent Network for Image Restoration, NeurIPS 2018",
    example={"encoder": {"name": "edsr", "channels": 4, "blocks": 1}, "decoder": "residual-conv"},
    url="https://arxiv.org/abs/1806.02919",
)
