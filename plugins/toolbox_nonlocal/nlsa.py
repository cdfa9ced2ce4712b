"""Non-local sparse attention: pixels with similar embeddings fall into one bucket, and attend only around it.

Random rotations give each pixel a code, the number of its bucket. Pixels in the order of their codes are cut into
chunks, and a pixel attends to its own chunk and the two beside it. Several rounds of this are averaged. The rounds
follow one another with a running sum of their weights. A chunk and the chunks beside it overlap in memory with the
next ones, so their products are batched over views, without copies.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, NonLocalConfig
from toolbox_nonlocal.plain import sparse_attention

MOST_BUCKETS = 128
SMALLEST_NORM = 5e-5  # least norm of a key, which is divided by it
PAIRS_AT_A_TIME = 2**21  # pairs of queries and keys in one product, so that their scores stay in the cache


class NLSAConfig(NonLocalConfig):
    """Settings of non-local sparse attention."""

    chunk: int = Field(default=144, gt=0, description="pixels of a chunk; each attends to three chunks")
    rounds: int = Field(default=4, gt=0, description="rotations whose results are averaged")
    embedding_channels: int = Field(default=64, gt=0, description="a quarter of the channels in the paper")
    scale: float = Field(default=1.0, gt=0, description="what is gathered is multiplied by this")
    rotations: Literal["stored", "drawn"] = Field(
        default="stored", description="stored with the weights; or drawn at random for every call, as published"
    )
    seed: int = Field(default=0, ge=0, description="of the rotations that are stored")

    def receptive_field(self) -> int | None:
        return None


class NLSA(nn.Module):
    """x + scale · sparse attention(x); nothing is propagated.

    Features (B, C, H, W), any range → the same shape. The receptive field is the whole image, because the order of all
    pixels decides which of them share a chunk.

    The published code draws new rotations at every call, also in evaluation, and sorts equal codes in no particular
    order, so that one picture has many results. Here the rotations are stored with the weights, and equal codes keep
    their order. The published code fails for fewer pixels than a chunk has; here they all see each other.

    Source: Mei et al., "Image Super-Resolution with Non-Local Sparse Attention", CVPR 2021, after the published code.
    """

    rotations: Tensor

    def __init__(self, config: NLSAConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        self.out_channels = channels
        self.embed = nn.Conv2d(channels, config.embedding_channels, 3, padding=1)
        self.value = nn.Conv2d(channels, channels, 1)
        generator = torch.Generator().manual_seed(config.seed)
        shape = config.embedding_channels, config.rounds, MOST_BUCKETS // 2
        drawn = torch.randn(shape, generator=generator, device="cpu")
        self.register_buffer("rotations", drawn.to(torch.get_default_device()))

    def forward(self, features: Tensor, correlation: object = None) -> tuple[Tensor, None]:
        """(features, anything) → (features, None)."""
        embedded, values = (
            each.permute(0, 2, 3, 1).flatten(1, 2) for each in (self.embed(features), self.value(features))
        )
        keys = embedded / embedded.norm(dim=2, keepdim=True).clamp(min=SMALLEST_NORM)
        rotations = self.rotations
        if self.config.rotations == "drawn":
            rotations = torch.randn_like(rotations)
        rounds = (
            self._round(codes, embedded, keys, values) for codes in hash_codes(embedded, rotations, self.config.chunk)
        )
        gathered, total = next(rounds)
        for found, weight in rounds:
            both = torch.logaddexp(total, weight)
            gathered = gathered * (total - both).exp() + found * (weight - both).exp()
            total = both
        return features + self.config.scale * gathered.mT.unflatten(2, features.shape[2:]), None

    def _round(self, codes: Tensor, queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B, N) and (B, N, channels) each → gathered (B, N, C), and the log of the sum of weights (B, N, 1)."""
        chunk, count = self.config.chunk, codes.shape[1]
        order = (codes * count + _counted(codes)).argsort(dim=1)  # stable, which ONNX has no sort for
        place, outside = self._places(count, queries)
        filled = order.index_select(1, place)  # (B, chunks · chunk)
        queries = _picked(queries, filled).unflatten(1, (-1, chunk))
        keys, values = (_around(_picked(each, filled).unflatten(1, (-1, chunk))) for each in (keys, values))
        if torch.compiler.is_compiling():
            found, total = _attended(queries, keys, values, outside)
        else:
            step = max(1, PAIRS_AT_A_TIME // (3 * chunk**2 * queries.shape[0]))
            runs = [slice(start, start + step) for start in range(0, queries.shape[1], step)]
            parts = [_attended(queries[:, run], keys[:, run], values[:, run], outside) for run in runs]
            found, total = (torch.cat(each, 1) for each in zip(*parts, strict=True))
        back = torch.empty_like(order).scatter_(1, order, _counted(codes))
        return _picked(found.flatten(1, 2), back), _picked(total.flatten(1, 2), back)

    def _places(self, count: Any, like: Tensor) -> tuple[Tensor, Tensor | None]:
        """The place of each pixel of each chunk in the order of codes, and −inf (3 · chunk) for keys that are none.

        The last pixels fill up the last chunk once more. If there are fewer than the chunk needs, the rest is none.
        """
        chunk = self.config.chunk
        length = (count + chunk - 1) // chunk * chunk
        place = torch.arange(length, device=like.device)
        repeated = torch.where(place < count, place, place - (length - count)).clamp(min=0)
        if not torch.compiler.is_compiling() and count >= chunk:
            return repeated, None
        alone = (torch.arange(chunk, device=like.device) >= count).repeat(3)
        return repeated, torch.zeros_like(alone, dtype=like.dtype).masked_fill(alone, -math.inf)


def _attended(queries: Tensor, keys: Tensor, values: Tensor, outside: Tensor | None) -> tuple[Tensor, Tensor]:
    """(B, chunks, pixels, channels) each → the same for gathered values, and the log of each query's sum of weights."""
    scores = queries @ keys.mT
    if outside is not None:
        scores = scores + outside
    total = scores.logsumexp(3, keepdim=True)
    return (scores - total).exp() @ values, total


def hash_codes(embedded: Tensor, rotations: Tensor, chunk: int) -> list[Tensor]:
    """Embeddings (B, N, E) and rotations (E, rounds, at least half the buckets) → the codes (B, N) of each round."""
    buckets = embedded.shape[1] // chunk
    half = torch.sym_min(torch.sym_max((buckets + 1) // 2, 1), MOST_BUCKETS // 2)
    used = rotations.narrow(2, 0, half)
    rotated = [embedded @ each for each in used.unbind(1)]
    return [torch.cat((each, -each), 2).argmax(2) for each in rotated]


def _around(chunks: Tensor) -> Tensor:
    """(B, chunks, chunk, C) → views (B, chunks, 3 · chunk, C): each one's own, the one before and the one after it."""
    size = chunks.shape[2]
    ring = torch.cat((chunks.narrow(1, chunks.shape[1] - 1, 1), chunks, chunks.narrow(1, 0, 1)), 1)
    if torch.compiler.is_compiling():
        count = chunks.shape[1]
        return torch.cat([ring.narrow(1, shift, count) for shift in range(3)], 2)
    return ring.flatten(1, 2).unfold(1, 3 * size, size).mT


def _picked(pixels: Tensor, order: Tensor) -> Tensor:
    """(B, N, C) at the places (B, M) → (B, M, C)."""
    return pixels.gather(1, order[..., None].expand(-1, -1, pixels.shape[2]))


def _counted(codes: Tensor) -> Tensor:
    return torch.arange(codes.shape[1], device=codes.device).expand_as(codes)


NLSA_BLOCK = ComponentInfo(
    kind="nonlocal-block",
    name="nlsa",
    factory=NLSA,
    config=NLSAConfig,
    summary="non-local sparse attention: pixels attend to those whose embedding falls into the same bucket",
    paper="Mei et al., Image Super-Resolution with Non-Local Sparse Attention, CVPR 2021",
    plain=sparse_attention,
    example={"chunk": 4, "rounds": 2, "embedding_channels": 3},
)
