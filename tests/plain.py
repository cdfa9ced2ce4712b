"""Plain versions of what the toolbox computes: slow, direct, each the formula as it is written down.

They take the modules' own weights and nothing else of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


def dual_interactive(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """DIINN's decoder at output resolution: unfold, nearest-exact, concatenate, 1×1 convolutions."""
    config = decoder.config
    batch, _, height, width = features.shape
    pixels = torch.arange(height * width, dtype=torch.float32).view(1, 1, height, width)
    nearest = F.interpolate(pixels, size=size, mode="nearest-exact").long()[0, 0]
    content = F.unfold(features, 3, padding=1)[:, :, nearest.flatten()].unflatten(2, size)

    y = (torch.arange(size[0], dtype=features.dtype) + 0.5) * height / size[0]
    x = (torch.arange(size[1], dtype=features.dtype) + 0.5) * width / size[1]
    dy = y[:, None] - (nearest // width + 0.5)
    dx = x[None, :] - (nearest % width + 0.5)
    ratio = torch.full_like(dy, height * width / (size[0] * size[1]))
    position = torch.stack((2 * dy, 2 * dx, ratio)).expand(batch, -1, -1, -1)

    if config.initial_synthesis:
        position = torch.sin(_linear(position, decoder.initial.weight, decoder.initial.bias))
        content = position * content

    of_content = decoder.content.weight.flatten(1)
    k = relu(_linear(content, of_content[: config.hidden[0]], decoder.content.bias[: config.hidden[0]]))
    q = k * torch.sin(_linear(position, decoder.synthesis[0].weight, decoder.synthesis[0].bias))
    done = config.hidden[0]
    for i, channels in enumerate(config.hidden[1:], 1):
        own = decoder.modulation[i - 1]
        if config.modulation_input == "modulation":
            k = relu(_linear(k, own.weight, own.bias))
        else:
            carried = k if config.modulation_input == "modulation+content" else q
            weight = torch.cat((own.weight, of_content[done : done + channels]), 1)
            bias = decoder.content.bias[done : done + channels]
            k = relu(_linear(torch.cat((carried, content), 1), weight, bias))
        q = k * torch.sin(_linear(q, decoder.synthesis[i].weight, decoder.synthesis[i].bias))
        done += channels
    kernel = config.output_kernel
    if kernel == 1:
        return _linear(q, decoder.output.weight[:, :, 0, 0], decoder.output.bias)
    reflected = F.pad(q, [1] * 4, mode="reflect")
    return F.conv2d(reflected, decoder.output.weight, decoder.output.bias)


def local_ensemble(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """LIIF's decoder as published: grid_sample at four shifted coordinates, one network for all, areas swapped."""
    config = decoder.config
    height, width = features.shape[-2:]
    y, x = _published_centers(size[0]), _published_centers(size[1])
    seen = F.unfold(features, 3, padding=1) if config.feature_unfolding else features.flatten(2)
    predictions, areas = [], []
    for vertical, horizontal in [(-1, -1), (-1, 1), (1, -1), (1, 1)] if config.local_ensemble else [(0, 0)]:
        pixel = _sampled(
            (height, width),
            y + (vertical / height + 1e-6 if vertical else 0),
            x + (horizontal / width + 1e-6 if horizontal else 0),
        )
        dy = (y[:, None] - _published_centers(height)[pixel // width]) * height
        dx = (x[None, :] - _published_centers(width)[pixel % width]) * width
        cell = features.new_tensor([2 / size[0] * height, 2 / size[1] * width]).view(1, 2, 1, 1)
        inputs = [seen[:, :, pixel.flatten()].unflatten(2, size), torch.stack((dy, dx))[None].to(features.dtype)]
        inputs += [cell.expand(-1, -1, *size)] if config.cell_decoding else []
        hidden = torch.cat([each.expand(len(features), -1, -1, -1) for each in inputs], 1)
        first = torch.cat((decoder.content.weight.flatten(1), decoder.position.weight), 1)
        hidden = _linear(hidden, first, decoder.content.bias)
        for layer in decoder.layers:
            hidden = relu(hidden) if isinstance(layer, nn.ReLU) else _linear(hidden, layer.weight, layer.bias)
        predictions.append(hidden)
        areas.append((dy * dx).abs().to(features.dtype) + 1e-9)
    total = sum(areas)
    opposite = areas[::-1]
    return torch.stack([p * (area / total) for p, area in zip(predictions, opposite, strict=True)]).sum(0)


def meta_upscale(decoder: Any, features: Tensor, size: tuple[int, int], channels: int) -> Tensor:
    """Meta-SR's decoder as published: the filter of each output pixel from its top-left corner's offset."""
    height, width = features.shape[-2:]
    y, x = _centers(size[0]) - 1 / size[0], _centers(size[1]) - 1 / size[1]
    pixel = _sampled((height, width), y.float() + 1e-6, x.float() + 1e-6)
    dy = (y[:, None] - (_centers(height)[pixel // width] - 1 / height)) * height / 2
    dx = (x[None, :] - (_centers(width)[pixel % width] - 1 / width)) * width / 2
    position = torch.stack((dy, dx, torch.full_like(dy, height / size[0])))[None].to(features.dtype)
    hidden = relu(_linear(position, decoder.hidden.weight, decoder.hidden.bias))
    filters = _linear(hidden, decoder.filters.weight, decoder.filters.bias).unflatten(1, (-1, channels))
    seen = F.unfold(features, 3, padding=1)[:, :, pixel.flatten()].unflatten(2, size)
    return (seen[:, :, None] * filters).sum(1)


def _centers(count: int) -> Tensor:
    return torch.tensor([-1 + (2 * i + 1) / count for i in range(count)], dtype=torch.float64)


def _published_centers(count: int) -> Tensor:
    """In float32: where both pixels of an axis are the same one, the published weights are its rounding."""
    return -1 + 1 / count + 2 / count * torch.arange(count).float()


def _sampled(shape: tuple[int, int], y: Tensor, x: Tensor) -> Tensor:
    """Numbers of the pixels that nearest ``grid_sample`` picks at float32 coordinates, clamped inside."""
    edge = 1 - 1e-6
    grid = torch.stack(torch.broadcast_tensors(x[None, :].clamp(-edge, edge), y[:, None].clamp(-edge, edge)), -1)
    numbers = torch.arange(shape[0] * shape[1], dtype=torch.float32).view(1, 1, *shape)
    return F.grid_sample(numbers, grid[None], mode="nearest", align_corners=False)[0, 0].long()


def _linear(image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.einsum("oc,bchw->bohw", weight, image) + bias[:, None, None]


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
