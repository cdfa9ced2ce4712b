"""RNAN's body: groups of residual blocks whose features are weighed by a mask of their own."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, EncoderConfig, NonLocalSpec, Padding


class RNANConfig(EncoderConfig):
    """Settings of RNAN's body; the defaults are those of the denoiser."""

    channels: int = Field(default=64, gt=0)
    groups: int = Field(default=10, ge=2, le=100, description="groups; the first and the last one are non-local")
    nonlocal_block: NonLocalSpec = Field(alias="nonlocal", description="the block in the masks of these two")
    long_skip: bool = Field(default=False, description="add the first features to the last, as for super-resolution")

    def out_channels(self, channels: int) -> int:
        self.nonlocal_block.config.check_channels(self.channels)
        return self.channels

    def receptive_field(self) -> int | None:
        gathered = self.nonlocal_block.config.receptive_field()
        # The way through the mask of a group: a block, another one, the convolution of stride 2, two blocks of half the
        # size, the deconvolution of 6, a block, then the tail and the last convolution.
        group = 2 + 2 + 1 + 2 * 4 + 3 + 2 + 4 + 1
        return None if gathered is None else 2 + self.groups * group + 2 * gathered

    def padding(self) -> Padding:
        return Padding(2, "reflect")

    def alignment(self) -> int:
        return 2


class ResidualBlock(nn.Module):
    """x + conv(ReLU(conv(x))), (B, C, H, W) → the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(channels), nn.ReLU(), _conv(channels))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        result: Tensor = features + self.body(features)
        return result


class Mask(nn.Module):
    """(B, C, H, W), even sides → weights between 0 and 1 of the same shape, by way of half the size."""

    def __init__(self, channels: int, block: nn.Module | None) -> None:
        super().__init__()
        self.nonlocal_block = block
        self.before = ResidualBlock(channels)
        self.down = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.small = nn.Sequential(ResidualBlock(channels), ResidualBlock(channels))
        self.up = nn.ConvTranspose2d(channels, channels, 6, stride=2, padding=2)
        self.after = ResidualBlock(channels)
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        if self.nonlocal_block is not None:
            features, _ = self.nonlocal_block(features, None)
        features = self.before(features)
        features = features + self.up(self.small(self.down(features)))
        weights: Tensor = self.conv(self.after(features)).sigmoid()
        return weights


class Group(nn.Module):
    """conv(blocks(trunk(x₁) · mask(x₁) + x₁)), x₁ = block(x); (B, C, H, W) → the same shape."""

    def __init__(self, channels: int, block: nn.Module | None) -> None:
        super().__init__()
        self.first = ResidualBlock(channels)
        self.trunk, self.tail = (nn.Sequential(ResidualBlock(channels), ResidualBlock(channels)) for _ in range(2))
        self.mask = Mask(channels, block)
        self.conv = _conv(channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        features = self.first(features)
        result: Tensor = self.conv(self.tail(self.trunk(features) * self.mask(features) + features))
        return result


class RNAN(nn.Module):
    """Image (B, channels, H, W), even sides → features (B, config.channels, H, W).

    Source: Zhang et al., "Residual Non-local Attention Networks for Image Restoration", ICLR 2019, after the published
    code. Its non-local blocks see the whole image, so every feature does.
    """

    def __init__(self, config: RNANConfig, channels: int) -> None:
        super().__init__()
        width = config.channels
        self.out_channels = config.out_channels(channels)
        self.long_skip = config.long_skip
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.first, self.last = (Group(width, config.nonlocal_block.build(channels=width)) for _ in range(2))
        self.local = nn.Sequential(*(Group(width, None) for _ in range(config.groups - 2)), _conv(width))

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        shallow: Tensor = self.head(image)
        features: Tensor = self.last(self.local(self.first(shallow)))
        return features + shallow if self.long_skip else features


def _conv(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1)


RNAN_ENCODER = ComponentInfo(
    kind="encoder",
    name="rnan",
    factory=RNAN,
    config=RNANConfig,
    summary="groups of residual blocks with masks, the first and the last one non-local",
    paper="Zhang et al., Residual Non-local Attention Networks for Image Restoration, ICLR 2019",
    example={
        "channels": 3,
        "groups": 3,
        # Without embeddings, because a softmax over queries ignores the bias of θ.
        "nonlocal": {
            "name": "wang-nonlocal",
            "similarity": "gaussian",
            "inner_channels": 2,
            "softmax_over": "queries",
        },
    },
    url="https://arxiv.org/abs/1903.10082",
)
