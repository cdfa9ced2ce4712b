"""Restore some pixels of an image instead of all, to train implicit decoders."""

from __future__ import annotations

import torch
from torch import Tensor

from toolbox.decoders.implicit import ImplicitDecoder
from toolbox.decoders.skip import resized
from toolbox.restorer import Restorer


def at_points(image: Tensor, points: Tensor) -> Tensor:
    """(B, C, H, W) at pixels (B, N), numbered row by row → (B, C, N)."""
    return image.flatten(2).gather(2, points[:, None].expand(-1, image.shape[1], -1))


def decode_at(
    restorer: Restorer, features: Tensor, image: Tensor, size: tuple[int, int], points: Tensor | None
) -> Tensor:
    """Features of the padded image, and the image (B, C, h, w) → (B, C, *size), or its pixels (B, N) as (B, C, N).

    An implicit decoder computes only those pixels, unless it takes the image.
    """
    if points is None:
        return restorer.decode(features, image, size)
    if not isinstance(restorer.decoder, ImplicitDecoder) or restorer.spec.decoder.config.takes_image:
        return at_points(restorer.decode(features, image, size), points)
    height, width = size
    rows, columns = (points // width).double(), (points % width).double()
    centers = torch.stack(((2 * rows + 1) / height - 1, (2 * columns + 1) / width - 1), -1)
    features = features[..., : image.shape[2], : image.shape[3]]
    states = len(features) // len(image)  # states of a recurrent encoder, one after the other
    image, points, centers = (each.repeat(states, *[1] * (each.ndim - 1)) for each in (image, points, centers))
    values: Tensor = restorer.decoder.query(features, centers, (2 / height, 2 / width))
    values = values.mT * restorer.std.flatten(2)
    skip = restorer.spec.global_skip
    if skip == "none":
        return values + restorer.mean.flatten(2)
    return values + at_points(resized(image, size, skip), points)
