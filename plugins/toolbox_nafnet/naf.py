"""NAFNet's blocks at one resolution, an encoder for any decoder."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, EncoderConfig
from toolbox_nafnet.block import NAFBlock
from toolbox_nafnet.local_mean import TrainingSize, reach, window_of
from toolbox_nafnet.plain import naf


class NAFConfig(EncoderConfig):
    """Settings of NAFNet's blocks at one resolution."""

    channels: int = Field(default=48, gt=1)
    blocks: int = Field(default=16, gt=0, le=1000)
    local: TrainingSize = None

    def out_channels(self, channels: int) -> int:
        return self.channels

    def receptive_field(self) -> int | None:
        if self.local is None:
            return None  # channel attention needs the mean over the image
        usual, more_at_the_border = reach(window_of(self.local))
        return 1 + self.blocks * (1 + usual) + more_at_the_border


class NAF(nn.Module):
    """Image (B, channels, H, W) → features (B, config.channels, H, W), any range.

    Channel attention takes means over the whole image, so features of a part differ from those of the whole. With
    ``local`` they are means over windows, and tiles are exact.

    Source: Chu et al., "NAFSSR: Stereo Image Super-Resolution Using NAFNet", CVPRW 2022, for one view; the blocks are
    those of Chen et al., "Simple Baselines for Image Restoration", ECCV 2022.
    """

    def __init__(self, config: NAFConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        window = None if config.local is None else window_of(config.local)
        self.intro = nn.Conv2d(channels, config.channels, 3, padding=1)
        self.blocks = nn.Sequential(*(NAFBlock(config.channels, window) for _ in range(config.blocks)))

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        features: Tensor = self.blocks(self.intro(image))
        return features


NAF_ENCODER = ComponentInfo(
    kind="encoder",
    name="naf",
    factory=NAF,
    config=NAFConfig,
    summary="NAFNet's blocks at one resolution, as in NAFSSR",
    paper="Chu et al., NAFSSR: Stereo Image Super-Resolution Using NAFNet, CVPRW 2022",
    plain=naf,
    example={"channels": 4, "blocks": 2},
    url="https://arxiv.org/abs/2204.08714",
)
