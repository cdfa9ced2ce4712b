"""What implicit decoders share: any output size, any list of points, in chunks that bound the memory."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn

from toolbox.decoders.coordinates import Positions, grid
from toolbox.errors import SpecError


class ImplicitDecoder(nn.Module):
    """A decoder that answers at any position, given what it prepares once for all positions.

    A subclass defines ``prepare`` and ``sample``; the grid call and ``query`` are then the same
    function of position.
    """

    chunk = 16384  # positions decoded at a time

    def prepare(self, features: Tensor) -> Tensor:
        """(B, features, H, W) → content (B, H, W, C): all the work that is the same for every position."""
        raise NotImplementedError

    def sample(self, content: Tensor, positions: Positions) -> Tensor:
        """Content (B, H, W, C) → (B, *shape of the positions, channels)."""
        raise NotImplementedError

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) → (B, channels, *size)."""
        content = self.prepare(features).contiguous()  # else each chunk would copy all of it
        rows = [
            rearrange(self.sample(content, chunk), "b h w c -> b c h w")
            for chunk in grid(size, features.device).chunks(self.chunk)
        ]
        return torch.cat(rows, 2)

    def query(self, features: Tensor, points: Tensor, cell: Tensor | tuple[float, float]) -> Tensor:
        """Values at arbitrary points; at the centers of a grid's pixels, the same as the grid call.

        Args:
            features: (B, features, H, W).
            points: (N, 2), or (B, N, 2) with other points for each image: (y, x) in [−1, 1].
            cell: (2,): height and width of the pixel around a point; a grid of H' × W' has 2 / H', 2 / W'.

        Returns:
            (B, N, channels).

        Raises:
            SpecError: points or cell have another shape, or values that are no place or extent.
        """
        height, width = (float(extent) for extent in cell)
        if not (0 < height < math.inf and 0 < width < math.inf):
            raise SpecError(f"got cell ({height}, {width}), expected two positive numbers, such as 2 / H' and 2 / W'")
        if points.shape[-1:] != (2,) or points.shape[:-2] not in ((), (len(features),)):
            raise SpecError(f"got points of shape {tuple(points.shape)}, expected (N, 2) or ({len(features)}, N, 2)")
        if not points.isfinite().all():
            raise SpecError("got points that are not finite, expected (y, x) in [-1, 1]")
        if points.ndim == 3:
            pairs = zip(features.split(1), points, strict=True)
            return torch.cat([self.query(image, own, cell) for image, own in pairs])
        content = self.prepare(features).contiguous()  # else each chunk would copy all of it
        y, x = points.double().unbind(-1)
        chunks = Positions(y, x, (height, width)).chunks(self.chunk)
        return torch.cat([self.sample(content, chunk) for chunk in chunks], 1)
