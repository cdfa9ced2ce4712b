"""The noise of a camera: shot and read noise of a raw picture, after the processing of the camera."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, Field
from torch import Generator, Tensor

from toolbox.config import Config
from toolbox.degradations.blur import gaussian_blur
from toolbox.degradations.drawing import drawn, ordered
from toolbox.records import DegradationInfo

Shot = Annotated[float, Field(gt=0, le=0.1)]
Width = Annotated[float, Field(ge=0, le=4)]


class CameraNoiseConfig(Config):
    """Settings of camera noise."""

    shot: Annotated[Shot | tuple[Shot, Shot], AfterValidator(ordered)] = Field(
        default=(1e-4, 2e-2), description="variance of the raw noise per signal (λ_shot); [low, high] by its logarithm"
    )
    smooth_luma: Annotated[Width | tuple[Width, Width], AfterValidator(ordered)] = Field(
        default=(0.0, 0.8), description="blur of the brightness noise by the camera: σ of a Gaussian, in pixels"
    )
    smooth_chroma: Annotated[Width | tuple[Width, Width], AfterValidator(ordered)] = Field(
        default=(0.0, 2.0), description="the same for the color noise"
    )


class Camera(NamedTuple):
    """A camera with its picture: the settings that turn raw values into colors."""

    matrix: Tensor  # (3, 3), from linear sRGB to the sensor's colors; rows sum to 1, so that gray stays gray
    gains: Tensor  # (3, 1, 1), white balance times exposure
    contrast: float  # share of the S-shaped tone curve, 0 to 1
    edge_gain: float  # gain of the demosaicing's correction by the Laplacian; 0 is bilinear


def camera_noise(config: CameraNoiseConfig, picture: Tensor, scale: float, generator: Generator) -> Tensor:
    """Add the noise that a camera would have left in the picture, not clipped.

    RGB (3, H, W) in [0, 1] becomes a Bayer mosaic of raw values again, which get noise of variance
    λ_shot · value + λ_read. Both mosaics, with and without noise, become pictures: demosaicing, white
    balance, color matrix, gamma and tone curve. Their difference is smoothed as in cameras and added to
    the picture. So the picture stays unchanged where the noise is zero, and a network never has to mend
    the effects of demosaicing.

    Source: Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, Sections 3.1 to
    3.5, with a wider range of noise for small sensors. Departures: the color matrix is drawn, instead of one
    of four cameras; highlights keep their noise; demosaicing is that of Malvar et al., ICASSP 2004, with
    the 5-point Laplacian everywhere and a drawn gain.
    """
    gray = picture.shape[0] == 1
    clean = picture.expand(3, -1, -1) if gray else picture
    camera = _draw_camera(generator)
    shot = math.exp(drawn(_logarithms(config.shot), generator))
    read = math.exp(2.18 * math.log(shot) + 1.20 + 0.26 * _normal(generator))  # Fig. 5 of the source
    phase = torch.randint(2, (2,), generator=generator).tolist()
    masks = _bayer(clean, phase)
    raw = (_to_raw(clean, camera) * masks).sum(0)
    difference = _to_picture(_with_noise(raw, shot, read, generator), masks, camera) - _to_picture(raw, masks, camera)
    luma, chroma = drawn(config.smooth_luma, generator), drawn(config.smooth_chroma, generator)
    difference = _smoothed(difference, luma, chroma)
    return picture + (difference.mean(0, keepdim=True) if gray else difference)


def _draw_camera(generator: Generator) -> Camera:
    """A random camera: crosstalk of the colors, a light source, an exposure and a tone curve."""
    strength = 0.05 + 0.3 * torch.rand(3, 1, generator=generator)  # share of the other two colors in each
    split = torch.rand(3, generator=generator)
    others = torch.zeros(3, 3)
    for row, (first, second) in enumerate(((1, 2), (0, 2), (1, 0))):  # green is nearer to both than they to each other
        others[row, first], others[row, second] = 0.5 + 0.5 * split[row], 0.5 - 0.5 * split[row]
    red, blue, exposure, contrast, edge_gain = torch.rand(5, generator=generator).tolist()
    brightness = 1.0 + 0.6 * exposure
    gains = torch.tensor([1.5 + 0.9 * red, 1.0, 1.4 + 0.7 * blue]) * brightness
    return Camera(torch.eye(3) * (1 - strength) + others * strength, gains.view(3, 1, 1), contrast, 0.75 * edge_gain)


def _to_raw(picture: Tensor, camera: Camera) -> Tensor:
    """(3, H, W) in [0, 1] → the values of each sensor color at every pixel."""
    tone = 0.5 - torch.sin(torch.asin((1 - 2 * picture).clamp(-1, 1)) / 3)
    toned = picture + camera.contrast * (tone - picture)  # nearly the inverse of the way back
    linear = toned.clamp(min=0) ** 2.2
    return torch.einsum("ij,jhw->ihw", camera.matrix.to(picture), linear) / camera.gains.to(picture)


def _with_noise(raw: Tensor, shot: float, read: float, generator: Generator) -> Tensor:
    """Add Gaussian noise of variance shot · value + read, as from photons and electronics."""
    noise = torch.randn(raw.shape, generator=generator, dtype=raw.dtype)
    return raw + noise * (shot * raw.clamp(min=0) + read).sqrt()


def _to_picture(raw: Tensor, masks: Tensor, camera: Camera) -> Tensor:
    """A mosaic (H, W) → a picture (3, H, W) in [0, 1]."""
    colors = _demosaiced(raw, masks, camera.edge_gain) * camera.gains.to(raw)
    linear = torch.einsum("ij,jhw->ihw", torch.linalg.inv(camera.matrix).to(raw), colors)
    picture = linear.clamp(1e-6, 1) ** (1 / 2.2)
    return picture + camera.contrast * (picture * picture * (3 - 2 * picture) - picture)


def _demosaiced(raw: Tensor, masks: Tensor, edge_gain: float) -> Tensor:
    """A mosaic (H, W) → (3, H, W): bilinear, and a share of the Laplacian where another color was measured."""
    height, width = raw.shape
    padded = F.pad((raw * masks)[:, None], (1, 1, 1, 1), mode="reflect")  # keeps the places of the colors
    tent = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]).to(raw)[None, None]
    measured = torch.tensor([4.0, 8.0, 4.0]).to(raw).view(3, 1, 1)  # sum of the tent over a color's measured pixels
    bilinear = torch.where(masks > 0, raw, F.conv2d(padded, tent)[:, 0] / measured)
    if height < 3 or width < 3:
        return bilinear
    wide = F.pad(raw[None, None], (2, 2, 2, 2), mode="reflect")[0, 0]
    around = wide[:-4, 2:-2] + wide[4:, 2:-2] + wide[2:-2, :-4] + wide[2:-2, 4:]  # the same color, two pixels away
    return bilinear + edge_gain * (1 - masks) * (raw - around / 4)


def _bayer(like: Tensor, phase: list[int]) -> Tensor:
    """(3, H, W): 1 where the sensor measures the color, else 0."""
    row, column = phase
    masks = torch.zeros_like(like)
    masks[0, row::2, column::2] = 1
    masks[1, row::2, 1 - column :: 2] = 1
    masks[1, 1 - row :: 2, column::2] = 1
    masks[2, 1 - row :: 2, 1 - column :: 2] = 1
    return masks


def _smoothed(noise: Tensor, luma: float, chroma: float) -> Tensor:
    """Noise (3, H, W) with its mean over the colors and the remainder blurred by widths of their own."""
    brightness = noise.mean(0, keepdim=True)
    colors = noise - brightness
    return _blurred(brightness, luma) + _blurred(colors, chroma)


def _blurred(noise: Tensor, width: float) -> Tensor:
    return noise if width < 0.2 else gaussian_blur(noise, width)  # a smaller σ blurs nothing at whole pixels


def _logarithms(value: float | tuple[float, float]) -> float | tuple[float, float]:
    return (math.log(value[0]), math.log(value[1])) if isinstance(value, tuple) else math.log(value)


def _normal(generator: Generator) -> float:
    return float(torch.randn((), generator=generator))


CAMERA_NOISE = DegradationInfo(
    name="camera-noise",
    degrade=camera_noise,
    config=CameraNoiseConfig,
    summary="shot and read noise of a raw picture after demosaicing and the other steps of a camera, not clipped",
    source="Brooks et al., Unprocessing Images for Learned Raw Denoising, CVPR 2019",
)
