"""Small networks in the naming of their published code, the layout of each written out by hand."""

from __future__ import annotations

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
