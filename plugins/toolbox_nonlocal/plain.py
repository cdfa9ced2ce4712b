"""The attention of these networks as their papers state it: patches unfolded, chunks in a loop, all weights at once.

Oracles for the fast blocks, and the yardstick of `toolbox bench`. They take the modules' own weights and nothing else
of them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.plugin import plain_laid_down, shrunk


def sparse_attention(block: Any, features: Tensor) -> Tensor:
    """An ``NLSA`` with stored rotations: sort, fill up, and attend chunk by chunk."""
    gathered = [_sparse(block, *each) for each in zip(block.embed(features), block.value(features), strict=True)]
    return features + block.config.scale * torch.stack(gathered)


def _sparse(block: Any, embedded: Tensor, values: Tensor) -> Tensor:
    """(E, H, W) and (C, H, W) of one picture → (C, H, W)."""
    chunk, size = block.config.chunk, values.shape[1:]
    queries, values = embedded.flatten(1).T, values.flatten(1).T
    keys = queries / queries.norm(dim=1, keepdim=True).clamp(min=5e-5)
    count = len(queries)
    buckets = min(max(count // chunk + count // chunk % 2, 2), 128)
    rounds, weights = [], []
    for number in range(block.config.rounds):
        rotated = queries @ block.rotations[:, number, : buckets // 2]
        order = torch.cat((rotated, -rotated), 1).argmax(1).argsort(stable=True)
        missing = -count % chunk
        filled = torch.cat((order, order[count - missing :] if count >= chunk else order[:0]))
        chunks = filled.split(chunk)
        found, total = torch.empty_like(values), values.new_empty(count)
        for i, own in enumerate(chunks):
            seen = torch.cat((chunks[i - 1], own, chunks[(i + 1) % len(chunks)]))
            scores = queries[own] @ keys[seen].T
            real = own[: min(chunk, count - i * chunk)]
            found[real] = (scores.softmax(1) @ values[seen])[: len(real)]
            total[real] = scores.logsumexp(1)[: len(real)]
        rounds.append(found)
        weights.append(total)
    shares = torch.stack(weights).softmax(0)
    return (torch.stack(rounds) * shares[..., None]).sum(0).T.unflatten(1, size)


def contrastive_attention(block: Any, features: Tensor) -> Tensor:
    """An ``ENLCA`` with a weight for every pair of pixels."""
    query, key = (_random_features(block, each(features).flatten(2).mT) for each in (block.query, block.key))
    weights = query @ key.mT
    weights = weights / weights.sum(2, keepdim=True)
    gathered = weights @ block.value(features).flatten(2).mT
    return features + block.scale * gathered.mT.unflatten(2, features.shape[2:])


def _random_features(block: Any, pixels: Tensor) -> Tensor:
    pixels = 6**0.5 * pixels / pixels.norm(dim=2, keepdim=True).clamp(min=5e-5)
    return torch.exp(pixels @ block.projection.T - pixels.square().sum(2, keepdim=True) / 2) + 1e-4


def pyramid_attention(block: Any, features: Tensor) -> Tensor:
    """A ``Pyramid`` with unfolded patches."""
    keys, values = [], []
    for level in range(block.levels):
        smaller, ratio = features, 1 - level / 10
        if level:
            if min(int(side * ratio) for side in features.shape[2:]) == 0:
                break
            smaller = F.interpolate(features, scale_factor=ratio, mode="bicubic", align_corners=False)
        patches = F.unfold(block.key(smaller), 3, padding=1)
        keys.append(patches / patches.norm(dim=1, keepdim=True).clamp(min=1e-4))
        values.append(F.unfold(block.value(smaller), 3, padding=1))
    scores = 10 * (F.unfold(block.query(features), 3, padding=1).mT @ torch.cat(keys, 2))
    patches = torch.cat(values, 2) @ scores.softmax(2).mT
    return block.scale * features + F.fold(patches, features.shape[2:], 3, padding=1) / 4


def self_exemplars(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """A ``SelfExemplars``, attention by unfolded patches and by all scores at once."""
    state = features
    larger: list[Tensor] = []
    for _ in range(decoder.steps):
        found = state
        for stage in decoder.stages:
            found = _found(stage.exemplars, found)
            found = found + stage.enlarge(state - stage.reduce(found))
        larger.append(found)
        state = decoder.next(decoder.reduce(found))
    image: Tensor = decoder.conv(torch.cat(larger, 1))
    return image


def _found(module: Any, features: Tensor) -> Tensor:
    query, key, value = (each(features).flatten(2) for each in (module.query, module.key, module.value))
    gathered = (value @ (query.mT @ key).softmax(2).mT).unflatten(2, features.shape[2:])
    low: Tensor = module.enlarge(gathered)
    high = _across(module.across, features)
    return low + (high - low) + module.error(high - low)


def exemplars(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """An ``ExemplarsDecoder`` with unfolded patches."""
    return _across(decoder.across, features)


def _across(module: Any, features: Tensor) -> Tensor:
    keys = module.key(shrunk(features, module.scale))
    return plain_laid_down(module.query(features), keys, module.value(features), module.scale) / 6
