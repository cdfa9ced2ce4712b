"""Two losses as a plugin of Toolbox: features of a fixed network, and a discriminator that learns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from toolbox.plugin import LossConfig, LossInfo, LossInput, hookimpl

TOOLBOX_API = 1
SLOPE = 0.2  # of leaky ReLU, as in the discriminators of SRGAN and ESRGAN


class PerceptualConfig(LossConfig):
    """Settings of the fixed network."""

    smallest: ClassVar[int] = 4
    width: int = Field(default=16, gt=0, description="channels of its first layer; each next one has twice as many")
    seed: int = Field(default=0, ge=0, description="of its random weights")


class AdversarialConfig(LossConfig):
    """Settings of the discriminator."""

    smallest: ClassVar[int] = 4
    width: int = Field(default=32, gt=0, description="channels of its first layer")


def layers(channels: int, width: int) -> nn.Sequential:
    """Three convolutions with leaky ReLU, two of which halve the size: (B, C, H, W) → (B, 4 · width, H / 4, W / 4)."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1),
        nn.LeakyReLU(SLOPE),
    )


class Perceptual(nn.Module):
    """The mean squared difference of features.

    Random weights are enough to compare textures without comparing pixels, and need no download.

    Source: Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016, with
    random weights after He et al., "A Powerful Generative Model Using Random Weights", NeurIPS 2016.
    """

    def __init__(self, config: PerceptualConfig, restorer: Any) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = layers(restorer.channels, config.width).requires_grad_(False)

    def forward(self, given: LossInput) -> Tensor:
        """A restored batch → one number."""
        return F.mse_loss(self.network(given.restored), self.network(given.clean))


class Adversarial(nn.Module):
    """The loss of the network by the judgment of a discriminator, plus the loss of the discriminator itself.

    One optimizer serves both. The first term sees the weights of the discriminator as constants, so its gradient
    reaches the network alone; the other two see the restored batch as a constant, so its gradient reaches the
    discriminator alone. A restored patch is judged place by place.

    Source: Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014, with the non-saturating loss; patches after
    Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017.
    """

    def __init__(self, config: AdversarialConfig, restorer: Any) -> None:
        super().__init__()
        self.discriminator = nn.Sequential(
            *layers(restorer.channels, config.width), nn.Conv2d(4 * config.width, 1, 3, padding=1)
        )

    def forward(self, given: LossInput) -> Tensor:
        """A restored batch → one number."""
        constants = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        judged: Tensor = functional_call(self.discriminator, constants, (given.restored,))
        real, made = self.discriminator(given.clean), self.discriminator(given.restored.detach())
        return F.softplus(-judged).mean() + F.softplus(-real).mean() + F.softplus(made).mean()


@hookimpl
def toolbox_losses() -> Iterable[LossInfo]:
    """Both losses."""
    return [
        LossInfo(
            name="perceptual",
            factory=Perceptual,
            config=PerceptualConfig,
            summary="mean squared difference of features of a fixed network",
            source="Johnson et al., Perceptual Losses for Real-Time Style Transfer and Super-Resolution, ECCV 2016",
            example={"width": 4},
        ),
        LossInfo(
            name="adversarial",
            factory=Adversarial,
            config=AdversarialConfig,
            summary="judgment of a discriminator that learns along with the network",
            source="Ledig et al., Photo-Realistic Single Image Super-Resolution Using a GAN, CVPR 2017",
            example={"width": 4},
        ),
    ]
