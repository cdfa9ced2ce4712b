"""Fold a trained network for use: parts that exist for training alone are merged."""

from __future__ import annotations

import torch

from toolbox.encoders.folding import Foldable
from toolbox.restorer import Restorer


def folded(restorer: Restorer) -> Restorer:
    """A network that computes the same without the parts for training; the same object if it has none."""
    spec = restorer.spec.folded()
    if spec == restorer.spec:
        return restorer
    state = restorer.state_dict()
    for name, module in restorer.named_modules():
        if isinstance(module, Foldable):
            parts = {key for key in state if key.startswith(f"{name}.")}
            state = {key: tensor for key, tensor in state.items() if key not in parts}
            state |= {f"{name}.{key}": tensor for key, tensor in module.folded_state().items()}
    with torch.random.fork_rng(devices=[]):
        network = Restorer(spec)
    network.to(restorer.mean).load_state_dict(state)
    network.training_record = restorer.training_record
    return network.train(restorer.training)
