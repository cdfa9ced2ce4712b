"""LM-LIIF's decoder: LIIF, with its network split into a wide one per feature pixel and a narrow one per position."""

from __future__ import annotations

from einops import rearrange
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, stack
from toolbox_lmf.modulated import ModulatedConfig, ModulatedDecoder, mlp
from toolbox_lmf.plain import modulated_ensemble
from toolbox_lmf.render import Render


class ModulatedEnsembleConfig(ModulatedConfig):
    """Settings of LM-LIIF's decoder."""

    depth: int = Field(default=6, gt=0, description="hidden layers of the render network")
    code: int | None = Field(
        default=16, gt=0, description="length of its code for each feature pixel; null: the features themselves"
    )
    latent: tuple[PositiveInt, ...] = Field(
        default=(208,), min_length=1, description="channels of each hidden layer of the latent network"
    )


class ModulatedEnsemble(ModulatedDecoder):
    """(B, features, H, W) and a size → (B, channels, *size), for any size.

    The latent network sees a feature pixel with its 3×3 neighborhood and the cell. It predicts the modulations of the
    render network, and a code. The render network sees the code, the offset (y, x) of the position and the cell, all
    in half feature pixels. Its results for the four feature pixels around the position are averaged as in LIIF.

    Beyond ``largest_scale`` (output height over input height) the cell is that of this scale, as in the published
    evaluation. This departs from the shared conventions as ``toolbox.decoders.corners`` does, and from the published
    code for an output smaller than the features, which that cannot decode.

    Source: He & Jin, "Latent Modulated Function for Computational Optimal Continuous Image Representation", CVPR
    2024, Section 3, after the published code.
    """

    def __init__(self, config: ModulatedEnsembleConfig, features: int, channels: int) -> None:
        super().__init__()
        self.config, self.largest_scale = config, config.largest_scale
        self.code = features if config.code is None else config.code
        self.render = Render(self.code + 4, config.width, config.depth, channels)
        self.content = nn.Conv2d(features, config.latent[0], 3, padding=1)  # of the first latent layer, with its bias
        self.cell = nn.Linear(2, config.latent[0], bias=False)  # of the same layer, hence drawn for all of its inputs
        nn.init.uniform_(self.cell.weight, -((9 * features + 2) ** -0.5), (9 * features + 2) ** -0.5)
        outputs = self.render.modulations + (0 if config.code is None else config.code)
        self.latent = nn.Sequential(nn.ReLU(inplace=True), *mlp(*config.latent, outputs))

    def prepare_for(self, features: Tensor, shape: tuple[int, int], cell: tuple[float, float]) -> Tensor:
        """(B, features, H, W) → (B, H, W, modulations) of the render network, with the code in its first layer."""
        input_cell = stack(*self.input_cell(shape, cell), like=features)
        latent = self.latent(rearrange(self.content(features), "b c h w -> b h w c") + self.cell(input_cell))
        modulation = latent[..., : self.render.modulations]
        code = latent[..., self.render.modulations :] if self.config.code else rearrange(features, "b c h w -> b h w c")
        first = self.render.first
        of_code, _, of_cell = first.weight.split((self.code, 2, 2), 1)
        return self.render.modulated(modulation, code @ of_code.mT + (of_cell @ input_cell + first.bias))

    def colors(self, values: Tensor, down: Tensor, right: Tensor, cell: tuple[float, float]) -> Tensor:
        vertical, horizontal = self.render.first.weight[:, self.code : self.code + 2].unbind(1)
        return self.render(values, down[..., None] * vertical + right[..., None] * horizontal)


MODULATED_ENSEMBLE = ComponentInfo(
    kind="decoder",
    name="modulated-ensemble",
    factory=ModulatedEnsemble,
    config=ModulatedEnsembleConfig,
    summary="LM-LIIF: a wide network per feature pixel modulates a narrow one at each position, at any size",
    paper="He & Jin, Latent Modulated Function for Computational Optimal Continuous Image Representation, CVPR 2024",
    plain=modulated_ensemble,
    example={"width": 3, "depth": 2, "code": 2, "latent": [4]},
)
