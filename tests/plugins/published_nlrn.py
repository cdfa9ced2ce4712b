"""NLRN's checkpoints, small, as the published code names and lays out what is in them."""

from __future__ import annotations

from collections.abc import Callable

from tests.weights.published import Arrays, Published, array, network


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


FORMATS: dict[str, Callable[[], Published]] = {"nlrn-tf": nlrn}
VARIANTS: dict[str, Callable[[], Published]] = {
    "nlrn-1-state": lambda: nlrn(1),
    "nlrn-5-states": lambda: nlrn(5),
    "nlrn-no-propagation": lambda: nlrn(propagation="none"),
    "nlrn-window": lambda: nlrn(neighborhood="window"),
}
