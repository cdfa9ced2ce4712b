"""Plain versions of what the toolbox computes: slow, direct, each the formula as it is written down.

They take the modules' own weights and nothing else of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from toolbox_diinn.plain import dual_interactive as dual_interactive
from toolbox_liif.plain import local_ensemble as local_ensemble
from toolbox_metasr.plain import meta_upscale as meta_upscale
from torch import Tensor

Pair = tuple[Tensor, Tensor]  # queries and keys of one state


def window(center: int, length: int, size: int | None, border: str) -> list[int]:
    """Positions on one axis that ``center`` sees; a size of None is the whole axis."""
    if size is None:
        return list(range(length))
    low = center - size // 2
    positions = list(range(low, low + size))
    if border == "zero":
        return positions
    if border == "clip":
        return [position for position in positions if 0 <= position < length]
    if length <= size:
        return list(range(length))
    shift = max(0, -positions[0]) - max(0, positions[-1] - (length - 1))
    return [position + shift for position in positions]


def attention(
    states: Sequence[Pair],
    values: Tensor,
    size: int | None,
    border: str = "clip",
    *,
    best: int | None = None,
    softmax: bool = True,
) -> Tensor:
    """Each pixel's average of its neighborhood's values, weighted by the correlations summed over ``states``.

    The weights are the softmax of the correlations, or else the correlations over their number; ``best``
    is how many of the neighborhood take part, those that correlate most.
    """
    height, width = values.shape[-2:]
    margin = size // 2 if size is not None and border == "zero" else 0
    padded = [(queries, F.pad(keys, [margin] * 4)) for queries, keys in states]
    padded_values = F.pad(values, [margin] * 4)
    result = torch.empty_like(values)
    for y in range(height):
        rows = [row + margin for row in window(y, height, size, border)]
        for x in range(width):
            columns = [column + margin for column in window(x, width, size, border)]
            correlation = sum(
                (queries[:, :, y, x, None, None] * keys[:, :, rows][..., columns]).sum(1) for queries, keys in padded
            )
            assert isinstance(correlation, Tensor)
            correlation = correlation.flatten(1)
            seen = padded_values[:, :, rows][..., columns].flatten(2)
            if best is not None:
                order = correlation.argsort(-1, descending=True)[:, :best]
                correlation = correlation.gather(-1, order)
                seen = seen.gather(-1, order[:, None].expand(-1, seen.shape[1], -1))
            weights = correlation.softmax(-1) if softmax else correlation / correlation.shape[-1]
            result[:, :, y, x] = (weights[:, None] * seen).sum(-1)
    return result


def nl_means(image: Tensor, size: int | None, border: str, patch: int, strength: float) -> Tensor:
    """Σ exp(−d² / h²) x / Σ exp(−d² / h²), d² the mean squared distance of patches, reflected at the border."""
    height, width = image.shape[-2:]
    radius = patch // 2
    padded = F.pad(image, [radius] * 4, mode="reflect" if radius < min(height, width) else "replicate")

    def around(y: int, x: int) -> Tensor:
        return padded[:, :, y : y + patch, x : x + patch]

    result = torch.empty_like(image)
    for y in range(height):
        for x in range(width):
            total = weighted = torch.zeros(len(image), dtype=image.dtype)[:, None]
            for row in window(y, height, size, border):
                for column in window(x, width, size, border):
                    squared = (around(y, x) - around(row, column)).square().mean((1, 2, 3))
                    weight = torch.exp(-squared / strength**2)[:, None]
                    total, weighted = total + weight, weighted + weight * image[:, :, row, column]
            result[:, :, y, x] = weighted / total
    return result


def batch_norm(image: Tensor, norm: Any, *, training: bool = False) -> Tensor:
    """(x − mean) / √(variance + ε) · weight + bias, with a batch's statistics when training."""
    mean = image.mean((0, 2, 3)) if training else norm.running_mean
    variance = image.var((0, 2, 3), correction=0) if training else norm.running_var
    normalized = (image - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + 1e-3)
    return normalized * norm.weight[:, None, None] + norm.bias[:, None, None]


def conv(image: Tensor, module: Any) -> Tensor:
    """Convolution as a sum over the kernel's positions of the image shifted there, zeros outside."""
    height, width = image.shape[-2:]
    radius = module.weight.shape[-1] // 2
    padded = F.pad(image, [radius] * 4)
    result: Tensor = module.bias[:, None, None].expand(len(image), -1, height, width)
    for dy in range(2 * radius + 1):
        for dx in range(2 * radius + 1):
            shifted = padded[:, :, dy : dy + height, dx : dx + width]
            result = result + torch.einsum("oc,bchw->bohw", module.weight[:, :, dy, dx], shifted)
    return result


def relu(image: Tensor) -> Tensor:
    return image.clamp(min=0)


def edsr(encoder: Any, image: Tensor, residual_scale: float) -> Tensor:
    shallow = features = conv(image, encoder.head)
    for block in encoder.blocks:
        first, _, second = block.body
        features = features + residual_scale * conv(relu(conv(features, first)), second)
    return shallow + conv(features, encoder.tail)


def rdn(encoder: Any, image: Tensor) -> Tensor:
    shallow = conv(image, encoder.shallow_a)
    features = conv(shallow, encoder.shallow_b)
    outputs = []
    for block in encoder.blocks:
        seen = [features]
        for layer in block.convs:
            seen.append(relu(conv(torch.cat(seen, 1), layer)))
        features = features + conv(torch.cat(seen, 1), block.fusion)
        outputs.append(features)
    return shallow + conv(conv(torch.cat(outputs, 1), encoder.fusion[0]), encoder.fusion[1])


def nlrn_features(
    encoder: Any,
    image: Tensor,
    *,
    steps: int,
    size: int | None = None,
    border: str = "clip",
    propagation: str = "none",
    attends: bool = True,
    training: bool = False,
) -> Tensor:
    """NLRN's states one after the other: shared convolutions, batch norm of each state's own."""
    stem_norm, stem_conv = encoder.stem
    stem = state = conv(batch_norm(image, stem_norm, training=training), stem_conv)
    shared = encoder.transition
    seen: list[Pair] = []
    for step in range(steps):
        features = relu(batch_norm(state, shared.norm_in.states[step], training=training))
        if attends:
            block = shared.nonlocal_block
            pair = conv(features, block.theta), conv(features, block.phi)
            seen = [*seen, pair] if propagation == "accumulate" else [pair]
            features = features + attention(seen, conv(features, block.g), size, border)
        features = conv(batch_norm(features, shared.norm_a.states[step], training=training), shared.conv_a)
        features = relu(batch_norm(features, shared.norm_b.states[step], training=training))
        state = stem + conv(features, shared.conv_b)
    return state


def bicubic_axis(values: Tensor, outputs: int, *, antialias: bool) -> Tensor:
    """Resize the last axis: a = −0.75 on clamped borders, or widened, a = −0.5, cut at the borders."""
    length = values.shape[-1]
    scale = length / outputs
    a, stretch = (-0.5, max(scale, 1.0)) if antialias else (-0.75, 1.0)

    def kernel(t: float) -> float:
        t = abs(t)
        if t <= 1:
            return (a + 2) * t**3 - (a + 3) * t**2 + 1
        return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0

    columns = []
    for i in range(outputs):
        center = (i + 0.5) * scale - 0.5
        reach = range(int(center - 2 * stretch) - 2, int(center + 2 * stretch) + 4)
        taps = [(j, kernel((j - center) / stretch)) for j in reach]
        if antialias:
            taps = [(j, weight) for j, weight in taps if 0 <= j < length]
        total = sum(weight for _, weight in taps)
        columns.append(sum(values[..., min(max(j, 0), length - 1)] * (weight / total) for j, weight in taps))
    return torch.stack([torch.as_tensor(column) for column in columns], -1)


def bicubic(image: Tensor, size: tuple[int, int], *, antialias: bool) -> Tensor:
    rows_done = bicubic_axis(image.transpose(-1, -2), size[0], antialias=antialias).transpose(-1, -2)
    return bicubic_axis(rows_done, size[1], antialias=antialias)
