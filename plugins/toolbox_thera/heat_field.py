"""Thera's decoder: a field of sines in each feature pixel, which the scale blurs as heat does.

A feature pixel gives each sine k_h · sin(δ·C_h + φ_h) its weight and its phase. The frequencies C_h are the same
everywhere. By the addition theorem the field is linear in sin(δ·C_h) and cos(δ·C_h), with coefficients that are
prepared once per feature pixel. These sines and cosines depend only on the offset δ, and few offsets occur on a grid.
At an integer scale all feature pixels have the same ones, so that a picture is one matrix product.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, Content, DecoderConfig, ImplicitDecoder, Positions, nearest_upward, offset
from toolbox_thera.phases import Phases
from toolbox_thera.plain import heat_field

HIGHEST_FREQUENCY = 16 * math.pi  # of a field before training, in radians per feature pixel
DIFFUSIVITY = math.sqrt(math.log(4)) / (2 * math.pi**2)  # k before training
NUMBERS_AT_A_TIME = 2**20  # most coefficients or basis values, so that they stay in the cache


class HeatFieldConfig(DecoderConfig):
    """Settings of Thera's decoder."""

    hidden: int = Field(default=32, gt=0, description="sines in each feature pixel's field")
    bias: float | tuple[float, ...] = Field(
        default=0.0,
        description="added to the field, one value or one per channel; the published network has the mean "
        "of its normalization, over the standard deviation, although its skip has added the picture",
    )

    def sizes(self) -> Literal["same", "any"] | int:
        return "any"

    def receptive_field(self) -> int | None:
        return 0

    def check_join(self, features: int, channels: int) -> None:
        if isinstance(self.bias, tuple) and len(self.bias) != channels:
            raise ValueError(f"bias got {len(self.bias)} values, expected one, or {channels}: one per channel")


class HeatField(ImplicitDecoder):
    """(B, features, H, W) and a size → (B, channels, *size), for any size.

    A position sees the feature pixel that covers it and its offset δ (y, x) from that pixel's center, in whole feature
    pixels. The field there is Σ_h k_h · sin(δ·C_h + φ_h) · exp(−‖C_h‖² · κ · t). The network has the frequencies C and
    the diffusivity κ, and the feature pixel has the weights k and phases φ. t = 1 / scale² is the time for which the
    field is blurred, so that no frequency is left that the output grid cannot show.

    This departs from the shared conventions in three ways. Offsets are in whole feature pixels. A center on the edge
    of two feature pixels goes to the later one, by float32 rounding as published. Only the vertical scale counts.

    Source: Becker et al., "Thera: Aliasing-Free Arbitrary-Scale Super-Resolution with Neural Heat Fields", 2025,
    Section 3, after the published code.
    """

    bias: Tensor

    def __init__(self, config: HeatFieldConfig, features: int, channels: int) -> None:
        super().__init__()
        self.channels, self.hidden = channels, config.hidden
        self.field = nn.Conv2d(features, (channels + 1) * config.hidden, 1)  # weights, channel by channel, and phases
        scale = features**-0.5 / 0.87962566  # LeCun's, of a normal distribution cut off at two deviations
        nn.init.trunc_normal_(self.field.weight, std=scale, a=-2 * scale, b=2 * scale)
        nn.init.zeros_(self.field.bias)  # type: ignore[arg-type]  # a Conv2d has a bias unless told otherwise
        length, angle = HIGHEST_FREQUENCY * torch.rand(config.hidden).sqrt(), 2 * math.pi * torch.rand(config.hidden)
        self.frequencies = nn.Parameter(length * torch.stack((angle.sin(), angle.cos())))  # C, (2, hidden), y first
        self.diffusivity = nn.Parameter(torch.tensor(DIFFUSIVITY))  # κ, k in the published code
        bias = config.bias if isinstance(config.bias, tuple) else (config.bias,) * channels
        self.register_buffer("bias", torch.tensor(bias), persistent=False)

    def prepare(self, features: Tensor) -> Tensor:
        """(B, features, H, W) → (B, H, W, channels · 2 · hidden): the coefficients of the cosines, then the sines."""
        parameters = F.linear(features.permute(0, 2, 3, 1), self.field.weight.flatten(1), self.field.bias)
        weights, phases = parameters.unflatten(-1, (-1, 1, self.hidden)).split((self.channels, 1), 3)
        phases = phases.contiguous()  # sines of angles that are far apart in memory take three times as long
        return (weights * torch.cat((phases.sin(), phases.cos()), 4)).flatten(3)

    def reach(self, pixel: float) -> tuple[int, int]:
        return 0, 0

    def sample(self, content: Content, positions: Positions) -> Tensor:
        height, width = content.height, content.width
        row, column = (
            nearest_upward((position / 2).float(), count).long()
            for position, count in ((positions.y, height), (positions.x, width))
        )
        down, right = offset(positions.y, row, height) / 2, offset(positions.x, column, width) / 2
        basis = self._basis(down, right, positions.cell[0] * height / 2, content.values)
        coefficients = content.at(row, column).unflatten(-1, (self.channels, -1))
        return (coefficients @ basis[..., None])[..., 0] + self.bias

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) → (B, channels, *size)."""
        if torch.compiler.is_compiling():  # the repetition of offsets depends on values
            return super().forward(features, size)
        batch, _, height, width = features.shape
        rows, columns = Phases.of(size[0], height), Phases.of(size[1], width)
        image = features.new_empty(batch, self.channels, *size)
        step = self._rows_at_a_time(rows, columns, batch * self.channels, width)
        top = 0
        for start in range(0, height, step):
            stop = min(start + step, height)
            if start == 0 or rows.period > step:
                basis = self._basis_of_band(rows, columns, start, stop, features, height / size[0])
            decoded = self._multiplied(self.prepare(features[:, :, start:stop]), basis)
            inside = rows.index[(rows.index >= start * rows.slots) & (rows.index < stop * rows.slots)]
            bottom = top + len(inside)
            for axis, used in ((2, inside - start * rows.slots), (3, columns.index)):
                if len(used) < decoded.shape[axis]:
                    decoded = decoded.index_select(axis, torch.tensor(used, device=features.device))
            image[:, :, top:bottom] = decoded + self.bias[:, None, None]
            top = bottom
        return image

    def _rows_at_a_time(self, rows: Phases, columns: Phases, images: int, width: int) -> int:
        """The rows of features to decode at a time: whole periods, if they are short."""
        per_row = 2 * self.hidden * width * max(images, rows.slots * columns.slots)
        step = max(1, NUMBERS_AT_A_TIME // per_row)
        return step - step % rows.period if step > rows.period else step

    def _basis_of_band(
        self, rows: Phases, columns: Phases, start: int, stop: int, like: Tensor, pixel: float
    ) -> Tensor:
        """(p, q, slots of rows, of columns, 2 · hidden), for feature rows [start, stop) that repeat after p, and q."""
        kinds = np.arange(start, stop)[: rows.period] % rows.period
        down, right = (torch.tensor(each, device=like.device) for each in (rows.offsets[kinds], columns.offsets))
        return self._basis(down[:, None, :, None], right[None, :, None, :], pixel, like)

    def _multiplied(self, coefficients: Tensor, basis: Tensor) -> Tensor:
        """(B, rows, W, channels · 2 · hidden) and a basis → (B, channels, rows · slots, W · slots)."""
        p, q, slots = basis.shape[:3]
        grouped = rearrange(coefficients, "b (r p) (w q) (c n) -> p q (b r w c) n", p=p, q=q, c=self.channels)
        values = grouped @ basis.flatten(2, 3).mT
        shape = {"y": slots, "b": len(coefficients), "w": coefficients.shape[2] // q}
        return rearrange(values, "p q (b r w c) (y x) -> b c (r p y) (w q x)", c=self.channels, **shape)

    def _basis(self, down: Tensor, right: Tensor, pixel: float, like: Tensor) -> Tensor:
        """(*shape, 2 · hidden): cosines, then sines, at float64 offsets that broadcast to a shape.

        They are blurred for output pixels of height ``pixel`` in feature pixels. A grid has few offsets along each
        axis, and the addition theorem combines their cosines and sines.
        """
        frequencies = self.frequencies.to(torch.promote_types(like.dtype, torch.float32))  # angles need the precision
        vertical, horizontal = (
            distance.to(frequencies)[..., None] * frequency
            for distance, frequency in zip((down, right), frequencies, strict=True)
        )
        blur = (-frequencies.square().sum(0) * self.diffusivity * pixel**2).exp()
        (cosine, sine), (other_cosine, other_sine) = (
            (vertical.cos() * blur, vertical.sin() * blur),
            (horizontal.cos(), horizontal.sin()),
        )
        of_sum = (
            torch.addcmul(cosine * other_cosine, sine, other_sine, value=-1),
            torch.addcmul(sine * other_cosine, cosine, other_sine),
        )
        return torch.cat(of_sum, -1).to(like.dtype)


HEAT_FIELD = ComponentInfo(
    kind="decoder",
    name="heat-field",
    factory=HeatField,
    config=HeatFieldConfig,
    summary="Thera: a field of sines in each feature pixel, blurred by the scale, at any size",
    paper="Becker et al., Thera: Aliasing-Free Arbitrary-Scale Super-Resolution with Neural Heat Fields, 2025",
    plain=heat_field,
    example={"hidden": 5},
)
