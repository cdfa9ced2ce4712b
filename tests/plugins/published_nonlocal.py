"""Checkpoints of NLSN, ENLCN, PANet, CSNLN and RNAN, small, with the names of the published code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from torch import nn

from tests.parts import Spec
from tests.weights.published import Arrays, Published, array, as_stored, network

NLSA: Spec = {"name": "nlsa", "chunk": 4, "rounds": 2, "embedding_channels": 3, "scale": 0.1, "seed": 5}
ENLCA: Spec = {"name": "enlca", "embedding_channels": 3, "scale": 0.1}
PYRAMID: Spec = {"name": "pyramid", "levels": 3, "embedding_channels": 2}


def with_slopes(layers: Iterable[tuple[str, Any]]) -> Arrays:
    """Convolutions with a PReLU each, as a ``Sequential`` of both."""
    arrays: Arrays = {}
    for name, (conv, slope) in layers:
        arrays |= as_stored([(f"{name}.0", conv)]) | {f"{name}.1.weight": array(slope.weight)}
    return arrays


def nlsa_names(prefix: str, block: Any) -> Arrays:
    return as_stored([(f"{prefix}conv_match.0", block.embed), (f"{prefix}conv_assembly.0", block.value)])


def enlca_names(prefix: str, block: Any) -> Arrays:
    layers = (("conv_match1", block.query), ("conv_match2", block.key), ("conv_assembly", block.value))
    arrays = as_stored((f"{prefix}{name}.0", layer) for name, layer in layers)
    return arrays | {f"{prefix}attn_fn.projection_matrix": array(block.projection)}


def pyramid_names(prefix: str, block: Any) -> Arrays:
    layers = (("conv_match_L_base", block.query), ("conv_match", block.key), ("conv_assembly", block.value))
    return with_slopes((f"{prefix}{name}", layer) for name, layer in layers)


def edsr_like(
    block: Spec, names: Callable[[str, Any], Arrays], places: list[int], scale: int = 2, **hints: Any
) -> Published:
    """EDSR of three residual blocks with a block after some of them; −1 is before the first."""
    encoder = {
        "name": "edsr",
        "channels": 4,
        "blocks": 3,
        "residual_scale": 0.1,
        "nonlocal": block,
        "nonlocal_at_start": -1 in places,
        "nonlocal_after": [place for place in places if place >= 0],
    }
    decoder = {"name": "pixel-shuffle", "scale": scale, "channels": 4}
    restorer = network({"channels": 3, "encoder": encoder, "decoder": decoder})
    ours, upscale = restorer.encoder, restorer.decoder.upscale
    arrays, number = as_stored([("head.0", ours.head)]), 0
    for place in range(-1, 3):
        if place >= 0:
            residual = ours.blocks[place].body
            arrays |= as_stored((f"body.{number}.body.{i}", residual[i]) for i in (0, 2))
            number += 1
        if place in places:
            key = "first" if place < 0 else str(place)
            arrays |= names(f"body.{number}.", ours.nonlocal_blocks[key])
            number += 1
    stages = [stage for stage in upscale if isinstance(stage, nn.Conv2d)]
    layers = [(f"body.{number}", ours.tail), ("tail.1", restorer.decoder.conv)]
    arrays |= as_stored([*layers, *((f"tail.0.{2 * i}", stage) for i, stage in enumerate(stages))])
    return Published(restorer, arrays, hints)


def nlsn(scale: int = 2) -> Published:
    return edsr_like(NLSA, nlsa_names, [-1, 1], scale, chunk=4, rounds=2, seed=5)


def enlcn(scale: int = 2) -> Published:
    return edsr_like(ENLCA, enlca_names, [-1, 2], scale)


def panet_sr() -> Published:
    return edsr_like({**PYRAMID, "scale": 0.1}, pyramid_names, [1], levels=3)


def alone(block: Spec, names: Callable[[str, Any], Arrays], **hints: Any) -> Published:
    """A block by itself."""
    restorer = network({"channels": 4, "encoder": {"name": "nonlocal", "nonlocal": block}, "decoder": "features"})
    return Published(restorer, names("", restorer.encoder.nonlocal_block), hints)


def panet() -> Published:
    """The denoiser, whose blocks share a slope."""
    encoder = {"name": "panet", "channels": 4, "blocks": 3, "after": 2, "nonlocal": PYRAMID}
    restorer = network({"channels": 3, "encoder": encoder, "decoder": "conv"})
    ours, arrays = restorer.encoder, pyramid_names("body.2.", restorer.encoder.nonlocal_block)
    arrays |= as_stored([("head.0", ours.head), ("body.4", ours.tail), ("tail.0", restorer.decoder.conv)])
    for number, block in zip((0, 1, 3), ours.blocks, strict=True):
        arrays |= as_stored((f"body.{number}.body.{2 * i}", block[i]) for i in (0, 1))
        arrays[f"body.{number}.body.1.weight"] = array(ours.slope).copy()
    return Published(restorer, arrays, {"levels": 3})


def csnln(scale: int = 2) -> Published:
    decoder = {"name": "self-exemplars", "scale": scale, "steps": 2}
    encoder = {"name": "convolutions", "channels": [4, 4], "activation": "prelu", "slope": 0.25}
    restorer = network({"channels": 3, "encoder": encoder, "decoder": decoder})
    cell, convs = restorer.decoder, restorer.encoder.layers
    layers = [("head.0", convs[0:2]), ("head.1", convs[2:4]), ("SEM.post_conv", cell.next)]
    layers += [("SEM.down_sample_4" if scale == 4 else "SEM.down_sample_2", cell.reduce)]
    names = [("multi_source_projection", "down_sample_1", "error_encode")]
    names += [("multi_source_projection_2", "down_sample_3", "error_encode_2")] * (scale == 4)
    arrays: Arrays = {}
    for (exemplars, reduce, enlarge), stage in zip(names, cell.stages, strict=True):
        prefix, ours = f"SEM.{exemplars}.", stage.exemplars
        layers += [(f"SEM.{reduce}", stage.reduce), (f"SEM.{enlarge}", stage.enlarge)]
        layers += [
            (f"{prefix}up_attention.conv_match_1", ours.across.query),
            (f"{prefix}up_attention.conv_match_2", ours.across.key),
            (f"{prefix}up_attention.conv_assembly", ours.across.value),
            (f"{prefix}down_attention.conv_match1", ours.query),
            (f"{prefix}down_attention.conv_match2", ours.key),
            (f"{prefix}down_attention.conv_assembly", ours.value),
            (f"{prefix}upsample", ours.enlarge),
        ]
        arrays |= as_stored((f"{prefix}encoder.body.{i}", ours.error[i]) for i in (0, 2))
        arrays[f"{prefix}encoder.body.1.weight"] = array(ours.error[1].weight)
    return Published(restorer, arrays | with_slopes(layers) | as_stored([("tail.0", cell.conv)]))


def exemplars(scale: int = 2) -> Published:
    """Attention across scales by itself."""
    restorer = network({"channels": 4, "encoder": "identity", "decoder": {"name": "exemplars", "scale": scale}})
    across = restorer.decoder.across
    layers = [("conv_match_1", across.query), ("conv_match_2", across.key), ("conv_assembly", across.value)]
    return Published(restorer, with_slopes(layers), {} if scale == 2 else {"scale": scale})


def rnan(channels: int = 1) -> Published:
    encoder = {"name": "rnan", "channels": 4, "groups": 3, "nonlocal": rnan_block(2)}
    spec = {"channels": channels, "normalization": {"std": 1 / 255}, "global_skip": "bicubic", "encoder": encoder}
    restorer = network({**spec, "decoder": "conv"})
    return Published(restorer, rnan_body(restorer) | as_stored([("tail.0", restorer.decoder.conv)]))


def rnan_sr() -> Published:
    """For super-resolution, without the mean shift."""
    encoder = {"name": "rnan", "channels": 4, "groups": 3, "long_skip": True, "nonlocal": rnan_block(2)}
    decoder = {"name": "pixel-shuffle", "scale": 2, "channels": 4}
    restorer = network({"channels": 3, "normalization": {"std": 1 / 255}, "encoder": encoder, "decoder": decoder})
    tail = [("tail.0.0", restorer.decoder.upscale[0]), ("tail.1", restorer.decoder.conv)]
    return Published(restorer, rnan_body(restorer) | as_stored(tail))


def rnan_block(inner: int) -> Spec:
    return {"name": "wang-nonlocal", "inner_channels": inner, "softmax_over": "queries"}


def rnan_nonlocal(prefix: str, block: Any) -> Arrays:
    layers = (("theta", block.theta), ("phi", block.phi), ("g", block.g), ("W", block.projection))
    return as_stored((f"{prefix}{name}", layer) for name, layer in layers)


def rnan_body(restorer: Any) -> Arrays:
    ours = restorer.encoder
    arrays = as_stored([("head.0", ours.head), ("body.1", ours.local[1])])
    groups = (("body_nl_low.0", ours.first), ("body.0", ours.local[0]), ("body_nl_high.0", ours.last))
    for name, group in groups:
        inside, mask, block = f"{name}.body.0", group.mask, group.mask.nonlocal_block
        residual = [
            ("RA_RB1.0", group.first),
            ("RA_TB.0.body.0", group.trunk[0]),
            ("RA_TB.0.body.1", group.trunk[1]),
            (f"RA_MB.0.MB_RB1.{int(block is not None)}", mask.before),
            ("RA_MB.0.MB_RB2.0", mask.small[0]),
            ("RA_MB.0.MB_RB2.1", mask.small[1]),
            ("RA_MB.0.MB_RB3.0", mask.after),
            ("RA_tail.0", group.tail[0]),
            ("RA_tail.1", group.tail[1]),
        ]
        for theirs, each in residual:
            arrays |= as_stored((f"{inside}.{theirs}.body.{i}", each.body[i]) for i in (0, 2))
        single = (("MB_Down.0", mask.down), ("MB_Up.0", mask.up), ("MB_1x1conv.0", mask.conv))
        arrays |= as_stored((f"{inside}.RA_MB.0.{theirs}", layer) for theirs, layer in single)
        arrays |= as_stored([(f"{name}.body.1", group.conv)])
        if block is not None:
            arrays |= rnan_nonlocal(f"{inside}.RA_MB.0.MB_RB1.0.", block)
    return arrays


def trained_mean_shift() -> Arrays:
    """Mean shifts for values of 0 to 255 that were trained along, so that they mix colors a little."""
    drawn = np.random.default_rng(0)
    arrays: Arrays = {}
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        matrix = np.eye(3) + 0.02 * drawn.standard_normal((3, 3))
        arrays[f"{name}.weight"] = matrix[:, :, None, None].astype(np.float32)
        arrays[f"{name}.bias"] = (sign * np.array([114.4, 111.5, 103.0]) + drawn.standard_normal(3)).astype(np.float32)
    return arrays


FORMATS: dict[str, Callable[[], Published]] = {
    "csnln": csnln,
    "enlcn": enlcn,
    "nlsn": nlsn,
    "panet": panet,
    "rnan": rnan,
}
VARIANTS: dict[str, Callable[[], Published]] = {
    "nlsn-x2": nlsn,
    "nlsn-x3": lambda: nlsn(3),
    "nlsn-x4": lambda: nlsn(4),
    "nlsa": lambda: alone({**NLSA, "scale": 1.0}, nlsa_names, chunk=4, rounds=2, seed=5),
    "enlcn-x2": enlcn,
    "enlca": lambda: alone(ENLCA, enlca_names),
    "panet-denoise": panet,
    "panet-x2": panet_sr,
    "pyramid": lambda: alone(PYRAMID, pyramid_names, levels=3),
    "csnln-x2": csnln,
    "csnln-x3": lambda: csnln(3),
    "csnln-x4": lambda: csnln(4),
    "exemplars-x2": exemplars,
    "exemplars-x3": lambda: exemplars(3),
    "rnan-denoise-gray": rnan,
    "rnan-denoise": lambda: rnan(3),
    "rnan-x2": rnan_sr,
    "rnan-nonlocal": lambda: alone(rnan_block(2), rnan_nonlocal),
}
