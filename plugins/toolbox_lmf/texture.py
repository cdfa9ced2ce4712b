"""LM-LTE's decoder: many of LTE's waves at each feature pixel, and a few at each position."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, stack
from toolbox_lmf.modulated import ModulatedConfig, ModulatedDecoder, mlp
from toolbox_lmf.plain import modulated_texture
from toolbox_lmf.render import Render


class ModulatedTextureConfig(ModulatedConfig):
    """Settings of LM-LTE's decoder."""

    depth: int = Field(default=8, gt=0, description="hidden layers of the render network")
    frequencies: int = Field(default=64, gt=0, description="waves of a feature pixel in the latent network")
    code_frequencies: int = Field(default=8, gt=0, description="waves of a position in the render network")
    latent: tuple[PositiveInt, ...] = Field(
        default=(288,), min_length=1, description="channels of each hidden layer of the latent network"
    )


class ModulatedTexture(ModulatedDecoder):
    """(B, features, H, W) and a size → (B, channels, *size), for any size.

    The latent network sees waves at a feature pixel, with the phases π (vertical + horizontal frequency + phase ·
    cell). It predicts the modulations of the render network, and the amplitudes and frequencies of a few more waves.
    These, with the phases π (frequency · offset + phase · cell), are the inputs of the render network. Offset (y, x)
    and cell are in half feature pixels. The results for the four feature pixels around the position are averaged as
    in LIIF.

    Beyond ``largest_scale`` (output height over input height) the cell is that of this scale, as in the published
    evaluation. Vertical frequencies come before horizontal ones, which alternate in the published code. This departs
    from the shared conventions as ``toolbox.decoders.corners`` does, and from the published code for an output smaller
    than the features, which that cannot decode.

    Source: He & Jin, "Latent Modulated Function for Computational Optimal Continuous Image Representation", CVPR
    2024, Section 3, after the published code.
    """

    def __init__(self, config: ModulatedTextureConfig, features: int, channels: int) -> None:
        super().__init__()
        self.config, self.largest_scale = config, config.largest_scale
        waves, code = 2 * config.frequencies, 2 * config.code_frequencies
        self.amplitude = nn.Conv2d(features, waves, 3, padding=1)  # of the cosines, then of the sines
        self.frequency = nn.Conv2d(features, waves, 3, padding=1)  # vertical, then horizontal
        self.phase = nn.Linear(2, config.frequencies, bias=False)
        self.code_phase = nn.Linear(2, config.code_frequencies, bias=False)
        self.render = Render(code, config.width, config.depth, channels)
        self.latent = mlp(waves, *config.latent, self.render.modulations + 2 * code)

    def prepare_for(self, features: Tensor, shape: tuple[int, int], cell: tuple[float, float]) -> Tensor:
        """(B, features, H, W) → (B, H, W, modulations and code): the code is amplitudes, and frequencies times π."""
        phase = math.pi * self.phase(stack(*self.input_cell(shape, cell), like=features))
        # Only the sum of the frequencies matters here, so only the sum is computed.
        weight, bias = (parameter.unflatten(0, (2, -1)).sum(0) for parameter in self.frequency.parameters())
        frequency = F.conv2d(features, math.pi * weight, math.pi * bias + phase, padding=1)
        waves = torch.cat((frequency.cos(), frequency.sin()), 1) * self.amplitude(features)
        latent = self.latent(rearrange(waves, "b c h w -> b h w c"))
        code = 2 * self.config.code_frequencies
        modulation, amplitude, frequency = latent.split((self.render.modulations, code, code), -1)
        modulated = self.render.modulated(modulation, self.render.first.bias)
        return torch.cat((modulated, amplitude, math.pi * frequency), -1)

    def colors(self, values: Tensor, down: Tensor, right: Tensor, cell: tuple[float, float]) -> Tensor:
        count = self.config.code_frequencies
        modulated, amplitude, vertical, horizontal = values.split(
            (self.render.modulations, 2 * count, count, count), -1
        )
        phase = math.pi * self.code_phase(stack(*cell, like=values))
        angle = phase.addcmul(vertical, down[..., None]).addcmul(horizontal, right[..., None])
        waves = torch.cat((angle.cos(), angle.sin()), -1) * amplitude
        return self.render(modulated, waves @ self.render.first.weight.mT)


MODULATED_TEXTURE = ComponentInfo(
    kind="decoder",
    name="modulated-texture",
    factory=ModulatedTexture,
    config=ModulatedTextureConfig,
    summary="LM-LTE: waves of each feature pixel modulate a narrow network of waves at each position, at any size",
    paper="He & Jin, Latent Modulated Function for Computational Optimal Continuous Image Representation, CVPR 2024",
    plain=modulated_texture,
    example={"width": 3, "depth": 2, "frequencies": 2, "code_frequencies": 2, "latent": [4]},
)
