"""CiaoSR's checkpoints, small, as the published code names and lays out what is in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from tests.weights.published import EDSR, RDN, Arrays, Published, array, as_stored, network


def ciaosr(encoder: str, across: tuple[int, ...]) -> Published:
    """CiaoSR's, in mmediting's names; the convolution for scale 2 is there whether it is used or not.

    The constant that published files hold as a buffer comes with the scales above 2 alone: files without it load too.
    """
    restorer = network(
        {
            "channels": 3,
            "normalization": {"mean": [0.4488, 0.4371, 0.404]},
            "global_skip": "bilinear",
            "encoder": EDSR if encoder == "edsr" else RDN,
            "decoder": {"name": "implicit-attention", "hidden": [5, 6], "across": across},
        }
    )
    inner, ours = restorer.encoder, restorer.decoder
    if encoder == "edsr":
        pairs = [("conv_first", inner.head), ("conv_after_body", inner.tail)]
        for i, block in enumerate(inner.blocks):
            pairs += [(f"body.{i}.conv1", block.body[0]), (f"body.{i}.conv2", block.body[2])]
    else:
        pairs = [("sfe1", inner.shallow_a), ("sfe2", inner.shallow_b)]
        pairs += [(f"gff.{i}", inner.fusion[i]) for i in (0, 1)]
        for i, block in enumerate(inner.blocks):
            pairs += [(f"rdbs.{i}.layers.{j}.conv", conv) for j, conv in enumerate(block.convs)]
            pairs.append((f"rdbs.{i}.lff", block.fusion))
    pairs += [(f"imnet_q.layers.{i}", ours.colors[i]) for i in (0, 2, 4)]
    arrays: Arrays = {}
    for name, part in (("imnet_k", ours.key), ("imnet_v", ours.value)):
        arrays[f"{name}.layers.0.weight"] = array(torch.cat((part.content.weight, part.position.weight), 1))
        arrays[f"{name}.layers.0.bias"] = array(part.content.bias)
        pairs += [(f"{name}.layers.2", part.layers[1]), (f"{name}.layers.4", part.output)]
    if across:
        for name, part in (
            ("match_1", ours.across.query),
            ("match_2", ours.across.key),
            ("assembly", ours.across.value),
        ):
            pairs.append((f"cs_attn.conv_{name}.0", part[0]))
            arrays[f"cs_attn.conv_{name}.1.weight"] = array(part[1].weight)
        shrinks = dict(zip(across, ours.across.shrink, strict=True))
        shrinks.setdefault(2, nn.Conv2d(4, 4, 3))
        pairs += [
            (f"cs_attn.{ {2: 'down', 3: 'downx3', 4: 'downx4'}[scale] }", conv) for scale, conv in shrinks.items()
        ]
        if across != (2,):
            arrays["cs_attn.escape_NaN"] = np.array([1e-4], np.float32)
    return Published(restorer, arrays | as_stored(pairs))


FORMATS: dict[str, Callable[[], Published]] = {"ciaosr": lambda: ciaosr("edsr", (2,))}
VARIANTS: dict[str, Callable[[], Published]] = {
    "ciaosr-edsr": lambda: ciaosr("edsr", (2,)),
    "ciaosr-rdn": lambda: ciaosr("rdn", (2, 3)),
    "ciaosr-local": lambda: ciaosr("edsr", ()),
}
