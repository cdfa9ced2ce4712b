"""Small networks in the naming of their published code, the layout of each written out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.parts import Spec, restorer_of
from toolbox.restorer import Restorer

Arrays = dict[str, np.ndarray[Any, Any]]

HALF = {"mean": 0.5, "std": 0.5}
EDSR: Spec = {"name": "edsr", "channels": 4, "blocks": 2}
RDN: Spec = {"name": "rdn", "channels": 4, "blocks": 2, "layers": 3, "growth": 5}


@dataclass(frozen=True)
class Published:
    """A network of ours, the same one as its authors would have stored it, and what their file cannot tell."""

    restorer: Restorer
    arrays: Arrays
    hints: dict[str, Any] = field(default_factory=dict)

    @property
    def state_dict(self) -> dict[str, Tensor]:
        """As PyTorch's users have it."""
        return {name: torch.from_numpy(array.copy()) for name, array in self.arrays.items()}


def network(spec: Spec) -> Any:
    """A restorer of that spec in float32, every weight drawn at random."""
    return restorer_of(spec).float()


def array(tensor: Tensor) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(tensor.detach().numpy())


def as_stored(layers: Iterable[tuple[str, Any]]) -> Arrays:
    """Weight and bias of layers that PyTorch's own modules hold."""
    pairs = list(layers)
    weights = {f"{name}.weight": array(layer.weight) for name, layer in pairs}
    return weights | {f"{name}.bias": array(layer.bias) for name, layer in pairs}


def edsr_layers(encoder: Any, prefix: str = "") -> list[tuple[str, Any]]:
    layers = [(f"{prefix}head.0", encoder.head), (f"{prefix}body.{len(encoder.blocks)}", encoder.tail)]
    for i, block in enumerate(encoder.blocks):
        layers += [(f"{prefix}body.{i}.body.0", block.body[0]), (f"{prefix}body.{i}.body.2", block.body[2])]
    return layers


def rdn_layers(encoder: Any, prefix: str = "") -> list[tuple[str, Any]]:
    layers = [(f"{prefix}SFENet1", encoder.shallow_a), (f"{prefix}SFENet2", encoder.shallow_b)]
    layers += [(f"{prefix}GFF.{i}", encoder.fusion[i]) for i in (0, 1)]
    for i, block in enumerate(encoder.blocks):
        layers += [(f"{prefix}RDBs.{i}.convs.{j}.conv.0", conv) for j, conv in enumerate(block.convs)]
        layers.append((f"{prefix}RDBs.{i}.LFF", block.fusion))
    return layers


def encoder_layers(encoder: Any, prefix: str) -> list[tuple[str, Any]]:
    return edsr_layers(encoder, prefix) if hasattr(encoder, "head") else rdn_layers(encoder, prefix)


def edsr(scale: int | None = 2, **more: Any) -> Published:
    """EDSR-PyTorch's, without the mean shift; a scale of None is features alone."""
    decoder: Any = {"name": "pixel-shuffle", "scale": scale, "channels": 4}
    if scale is None:
        decoder, more = "features", {"output_channels": 4, **more}
    restorer = network({"channels": 3, "encoder": EDSR, "decoder": decoder, **more})
    layers = edsr_layers(restorer.encoder)
    if scale is not None:
        stages = [stage for stage in restorer.decoder.upscale if isinstance(stage, nn.Conv2d)]
        layers += [(f"tail.0.{2 * i}", stage) for i, stage in enumerate(stages)]
        layers.append(("tail.1", restorer.decoder.conv))
    return Published(restorer, as_stored(layers))


def rdn(scale: int | None = 2) -> Published:
    """RDN of EDSR-PyTorch; a scale of None is features alone."""
    decoder: Any = {"name": "pixel-shuffle", "scale": scale, "channels": 5}
    more = {"output_channels": 4} if scale is None else {}
    restorer = network({"channels": 3, "encoder": RDN, "decoder": "features" if scale is None else decoder, **more})
    layers = rdn_layers(restorer.encoder)
    if scale is not None:
        stages = [stage for stage in restorer.decoder.upscale if isinstance(stage, nn.Conv2d)]
        layers += [(f"UPNet.{2 * i}", stage) for i, stage in enumerate([*stages, restorer.decoder.conv])]
    return Published(restorer, as_stored(layers))


def liif(encoder: Spec = EDSR, **decoder: Any) -> Published:
    """LIIF's: the first layer takes the unfolded features and then the position."""
    restorer = network(
        {
            "channels": 3,
            "normalization": HALF,
            "encoder": encoder,
            "decoder": {"name": "local-ensemble", "hidden": [5, 6], **decoder},
        }
    )
    arrays = as_stored(encoder_layers(restorer.encoder, "encoder."))
    ours = restorer.decoder
    arrays["imnet.layers.0.weight"] = array(torch.cat((ours.content.weight.flatten(1), ours.position.weight), 1))
    arrays["imnet.layers.0.bias"] = array(ours.content.bias)
    linear = [layer for layer in ours.layers if isinstance(layer, nn.Linear)]
    return Published(restorer, arrays | as_stored((f"imnet.layers.{2 * i}", x) for i, x in enumerate(linear, 1)))


def lte(encoder: Spec = EDSR, *, plus: bool = False) -> Published:
    """LTE's, whose frequencies are interleaved, or LTE+'s, which are not and whose layers are 1 × 1 convolutions."""
    restorer = network(
        {
            "channels": 3,
            "normalization": HALF,
            "global_skip": "bilinear",
            "encoder": encoder,
            "decoder": {"name": "local-texture", "frequencies": 3, "hidden": [5, 4]},
        }
    )
    ours = restorer.decoder
    layers = [*encoder_layers(restorer.encoder, "encoder."), ("coef", ours.amplitude), ("freq", ours.frequency)]
    layers += [(f"{'layers' if plus else 'imnet.layers'}.{i}", ours.layers[i]) for i in (0, 2, 4)]
    arrays = as_stored(layers) | {"phase.weight": array(ours.phase.weight)}
    for name, stored in arrays.items():
        if name.startswith("freq.") and not plus:
            arrays[name] = np.stack(np.split(stored, 2), 1).reshape(stored.shape)
        if name.startswith("layers.") and name.endswith("weight"):
            arrays[name] = stored[:, :, None, None]
    return Published(restorer, arrays)


def lmf(decoder: Spec | None = None) -> Published:
    """LMF's: LM-LIIF unless another of its decoders is given; vertical and horizontal frequencies alternate."""
    settings = decoder or {"name": "modulated-ensemble", "width": 3, "depth": 3, "code": 2, "latent": [5]}
    skip = "none" if settings["name"] == "modulated-ensemble" else "bilinear"
    restorer = network(
        {"channels": 3, "normalization": HALF, "global_skip": skip, "encoder": EDSR, "decoder": settings}
    )
    ours, render = restorer.decoder, "imnet_q" if settings["name"] == "modulated-attention" else "imnet"
    stages = (ours.render.first, *ours.render.hidden, ours.render.last)
    arrays = as_stored(encoder_layers(restorer.encoder, "encoder."))
    arrays |= as_stored((f"{render}.layers.{2 * i}", stage) for i, stage in enumerate(stages))
    if settings["name"] == "modulated-ensemble":
        arrays |= as_stored((f"hypernet.layers.{i + 1}", ours.latent[i]) for i in range(1, len(ours.latent), 2))
        arrays["hypernet.layers.0.weight"] = array(torch.cat((ours.content.weight.flatten(1), ours.cell.weight), 1))
        arrays["hypernet.layers.0.bias"] = array(ours.content.bias)
    elif settings["name"] == "modulated-texture":
        arrays |= as_stored([("coef", ours.amplitude), ("freq", ours.frequency), *numbered("hypernet", ours.latent)])
        arrays |= {"phase.weight": array(ours.phase.weight), "imphase.weight": array(ours.code_phase.weight)}
        last = f"hypernet.layers.{len(ours.latent) - 1}"
        for name, count in (("freq", ours.config.frequencies), (last, ours.config.code_frequencies)):
            for key in (f"{name}.weight", f"{name}.bias"):
                before, vertical, horizontal = np.split(arrays[key], (-2 * count, -count))
                alternating = np.stack((vertical, horizontal), 1).reshape(2 * count, *vertical.shape[1:])
                arrays[key] = np.concatenate((before, alternating))
    else:
        networks = {"queries": "prenet_q", "keys": "imnet_k", "values": "imnet_v", "latent": "hypernet_q"}
        for name, theirs in networks.items():
            arrays |= as_stored(numbered(theirs, getattr(ours, name)))
        arrays |= as_stored([("cs_attn.down", ours.across.shrink[0])])
        arrays["cs_attn.escape_NaN"] = np.array([1e-4], np.float32)
        for name, theirs in (("query", "conv_match_1"), ("key", "conv_match_2"), ("value", "conv_assembly")):
            conv, activation = getattr(ours.across, name)
            arrays |= as_stored([(f"cs_attn.{theirs}.0", conv)])
            arrays[f"cs_attn.{theirs}.1.weight"] = array(activation.weight)
    return Published(restorer, arrays)


def numbered(name: str, layers: nn.Sequential) -> list[tuple[str, Any]]:
    """The linear layers of an MLP as published: even numbers, with the ReLUs between them."""
    return [(f"{name}.layers.{i}", layers[i]) for i in range(0, len(layers), 2)]


def metasr(encoder: Spec = EDSR) -> Published:
    """Meta-SR's, in the naming of LIIF's repository."""
    decoder = {"name": "meta-upscale", "hidden": 5}
    restorer = network({"channels": 3, "normalization": HALF, "encoder": encoder, "decoder": decoder})
    layers = encoder_layers(restorer.encoder, "encoder.")
    layers += [("imnet.layers.0", restorer.decoder.hidden), ("imnet.layers.2", restorer.decoder.filters)]
    return Published(restorer, as_stored(layers))


def diinn(encoder: Spec | None = EDSR, modulation_input: str = "synthesis+content", **decoder: Any) -> Published:
    """DIINN's: K_i takes what comes from the layer before and then the content, all as 1 × 1 convolutions.

    Without an encoder it is the decoder alone, whose features are the image.
    """
    config = {"name": "dual-interactive", "hidden": [5, 6, 4], "modulation_input": modulation_input, **decoder}
    if encoder is None:
        restorer = network({"channels": 4, "output_channels": 3, "encoder": "identity", "decoder": config})
        arrays, prefix = {}, ""
    else:
        restorer = network({"channels": 3, "normalization": HALF, "encoder": encoder, "decoder": config})
        arrays, prefix = as_stored(encoder_layers(restorer.encoder, "encoder.")), "decoder."
    ours = restorer.decoder
    content, bias = ours.content.weight.flatten(1), ours.content.bias  # of all layers that take it, stacked
    done = 0
    for i, channels in enumerate(ours.config.hidden):
        rows = slice(done, done + channels)
        if i == 0:
            weight, own_bias = content[rows], bias[rows]
        elif modulation_input == "modulation":
            weight, own_bias = ours.modulation[i - 1].weight, ours.modulation[i - 1].bias
        else:
            weight, own_bias = torch.cat((ours.modulation[i - 1].weight, content[rows]), 1), bias[rows]
        done += channels
        arrays[f"{prefix}K.{i}.0.weight"] = array(weight[:, :, None, None])
        arrays[f"{prefix}K.{i}.0.bias"] = array(own_bias)
        arrays[f"{prefix}Q.{i}.0.weight"] = array(ours.synthesis[i].weight[:, :, None, None])
        arrays[f"{prefix}Q.{i}.0.bias"] = array(ours.synthesis[i].bias)
    if ours.initial is not None:
        arrays[f"{prefix}first_layer.0.weight"] = array(ours.initial.weight[:, :, None, None])
        arrays[f"{prefix}first_layer.0.bias"] = array(ours.initial.bias)
    arrays |= as_stored([(f"{prefix}last_layer", ours.output)])
    certain = modulation_input == "modulation" or ours.config.output_kernel == 3
    return Published(restorer, arrays, {} if certain else {"modulation_input": modulation_input})


def nlrn(steps: int = 2, propagation: str = "accumulate", neighborhood: str = "whole") -> Published:
    """NLRN's TensorFlow variables: kernels are height × width × in × out, batch norm is numbered through."""
    nonlocal_block = {
        "name": "soft-block-matching",
        "neighborhood": {"kind": "whole"} if neighborhood == "whole" else {"kind": "window", "size": 45},
        "propagation": propagation,
        "embedding_channels": 2,
    }
    transition = {"name": "nonlocal-residual", "channels": 4, "nonlocal": nonlocal_block}
    restorer = network(
        {
            "channels": 1,
            "normalization": {"std": 1 / 255},
            "global_skip": "bicubic",
            "encoder": {"name": "recurrent", "steps": steps, "transition": transition},
            "decoder": "residual-conv",
        }
    )
    shared = restorer.encoder.transition
    stem_norm, stem_conv = restorer.encoder.stem
    convolutions = {
        "model/conv1": stem_conv,
        "model/rnn/non_local_theta": shared.nonlocal_block.theta,
        "model/rnn/non_local_phi": shared.nonlocal_block.phi,
        "model/rnn/non_local_g": shared.nonlocal_block.g,
        "model/rnn/RB1_a": shared.conv_a,
        "model/rnn/RB1_b": shared.conv_b,
        "model/conv_end": restorer.decoder.conv,
    }
    norms = {"model/batch_normalization": stem_norm, "model/batch_normalization_1": restorer.decoder.norm}
    in_order = [norm.states[step] for step in range(steps) for norm in (shared.norm_in, shared.norm_a, shared.norm_b)]
    norms |= {f"model/rnn/batch_normalization{f'_{i}' if i else ''}": norm for i, norm in enumerate(in_order)}
    arrays: Arrays = {}
    for name, conv in convolutions.items():
        arrays |= {f"{name}/kernel": array(conv.weight.permute(2, 3, 1, 0)), f"{name}/bias": array(conv.bias)}
    for name, norm in norms.items():
        arrays |= {f"{name}/gamma": array(norm.weight), f"{name}/beta": array(norm.bias)}
        arrays |= {f"{name}/moving_mean": array(norm.running_mean), f"{name}/moving_variance": array(norm.running_var)}
    return Published(restorer, arrays, {"propagation": propagation, "neighborhood": neighborhood})


# One small checkpoint of every format, by the name of its converter.
FORMATS: dict[str, Callable[[], Published]] = {
    "diinn": diinn,
    "edsr": edsr,
    "liif": liif,
    "lmf": lmf,
    "lte": lte,
    "metasr": metasr,
    "nlrn-tf": nlrn,
    "rdn": rdn,
}


def mean_shift(white: float = 1.0) -> Arrays:
    """EDSR-PyTorch's constants for images in [0, white]: x ∓ white · mean."""
    mean = np.float32(white) * np.array([0.4488, 0.4371, 0.4040], np.float32)
    identity = np.eye(3, dtype=np.float32)[:, :, None, None]
    return {
        "sub_mean.weight": identity,
        "sub_mean.bias": -mean,
        "add_mean.weight": identity,
        "add_mean.bias": mean,
    }


def thera(encoder: str, blocks: tuple[tuple[int, int], ...] = ()) -> Published:
    """Thera's, by flax's paths and with channels last: air, or plus with ConvNeXt blocks."""
    std = math.sqrt(0.25 + 1e-5)
    inner = EDSR if encoder == "edsr" else RDN
    restorer = network(
        {
            "channels": 3,
            "normalization": {"mean": [0.4488, 0.4371, 0.404], "std": std},
            "global_skip": "nearest",
            "encoder": {"name": "convnext-refinement", "encoder": inner, "blocks": blocks} if blocks else inner,
            "decoder": {"name": "heat-field", "hidden": 5, "bias": [mean / std for mean in (0.4488, 0.4371, 0.404)]},
        }
    )
    features = restorer.encoder.encoder if blocks else restorer.encoder
    layers = _flax_edsr(features) if encoder == "edsr" else _flax_rdn(features)
    arrays = {"components": array(restorer.decoder.frequencies), "k": restorer.decoder.diffusivity.detach().numpy()}
    for i, layer in enumerate(restorer.encoder.layers if blocks else ()):
        path = f"refine/layers_{i}"
        if hasattr(layer, "depthwise"):
            arrays[f"{path}/residual/layers_0/kernel"] = array(layer.depthwise.weight.permute(2, 3, 1, 0))
            layers += [(f"{path}/residual/layers_2", layer.widen), (f"{path}/residual/layers_4", layer.narrow)]
        else:
            layers.append((f"{path}/Conv_0", layer.linear))
        norm = f"{path}/residual/layers_1" if hasattr(layer, "depthwise") else f"{path}/LayerNorm_0"
        arrays |= {f"{norm}/scale": array(layer.norm.weight), f"{norm}/bias": array(layer.norm.bias)}
    for path, layer in layers:
        weight = layer.weight if layer.weight.ndim == 4 else layer.weight[..., None, None]
        arrays |= {f"{path}/kernel": array(weight.permute(2, 3, 1, 0)), f"{path}/bias": array(layer.bias)}
    for kind, ours in (("kernel", restorer.decoder.field.weight[:, :, 0, 0].T), ("bias", restorer.decoder.field.bias)):
        # (..., 3 channels · 5 sines) and 5 phases; published by sine, and for an output of deviation 1/2.
        by_sine = ours[..., :15].unflatten(-1, (3, 5)).mT.flatten(-2) * (std / 0.5)
        published = torch.cat((by_sine, ours[..., 15:]), -1)
        arrays[f"out_conv/{kind}"] = array(published[None, None] if kind == "kernel" else published)
    return Published(restorer, arrays)


def _flax_edsr(encoder: Any) -> list[tuple[str, Any]]:
    layers = [("encoder/head/layers_0", encoder.head), (f"encoder/body/layers_{len(encoder.blocks)}", encoder.tail)]
    for i, block in enumerate(encoder.blocks):
        layers += [(f"encoder/body/layers_{i}/body/layers_{j}", block.body[j]) for j in (0, 2)]
    return layers


def _flax_rdn(encoder: Any) -> list[tuple[str, Any]]:
    outer = (encoder.shallow_a, encoder.shallow_b, encoder.fusion[0], encoder.fusion[1])
    layers = [(f"encoder/Conv_{i}", layer) for i, layer in enumerate(outer)]
    for i, block in enumerate(encoder.blocks):
        layers += [(f"encoder/RDB_{i}/RDB_Conv_{j}/Conv_0", conv) for j, conv in enumerate(block.convs)]
        layers.append((f"encoder/RDB_{i}/Conv_0", block.fusion))
    return layers


def srno(encoder: Spec = EDSR) -> Published:
    """SRNO's, whose convolutions of queries, keys and values are joined, head by head."""
    restorer = network(
        {
            "channels": 3,
            "normalization": HALF,
            "global_skip": "bilinear",
            "encoder": encoder,
            "decoder": {"name": "neural-operator", "width": 6, "heads": 2, "hidden": 5},
        }
    )
    ours = restorer.decoder
    position = ours.position.weight
    arrays = as_stored(encoder_layers(restorer.encoder, "encoder."))
    arrays["conv00.weight"] = array(torch.cat((position[:, :8], ours.content.weight, position[:, 8:]), 1))
    arrays["conv00.bias"] = array(ours.content.bias)
    pairs = [("fc1", ours.colors[0]), ("fc2", ours.colors[2])]
    for i, layer in enumerate((ours.first, ours.second)):
        parts = (layer.query, layer.key, layer.value)
        rows = [slice(3 * head, 3 * head + 3) for head in range(2)]  # of each head, three channels
        for kind in ("weight", "bias"):
            joined = torch.cat([getattr(part, kind)[own] for own in rows for part in parts])
            arrays[f"conv{i}.qkv_proj.{kind}"] = array(joined)
        pairs += [(f"conv{i}.o_proj1", layer.inner), (f"conv{i}.o_proj2", layer.outer)]
        for j, norm in enumerate(("kln", "vln")):
            arrays[f"conv{i}.{norm}.weight"] = array(layer.scale[j][:, None])
            arrays[f"conv{i}.{norm}.bias"] = array(layer.shift[j][:, None])
    arrays |= as_stored(pairs)
    kernels = ("conv", "fc")
    return Published(
        restorer,
        {
            name: value[..., None, None] if name.startswith(kernels) and value.ndim == 2 else value
            for name, value in arrays.items()
        },
    )
