"""Six new combinations of parts: each builds, trains 20 steps, and is scored.

    python examples/hybrids.py

Twenty steps make no good network. They show that all parts learn, that a picture in tiles gives the result of the whole
picture, and that a frozen part does not change. The script writes nothing.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import toolbox
from toolbox.config import validated
from toolbox.discovery import installed
from toolbox.evaluation.cases import find_cases, read_sample
from toolbox.evaluation.scoring import score_picture
from toolbox.images.engine.run import restore_tensor
from toolbox.images.engine.tiling import Tiling
from toolbox.padding import alignment_of
from toolbox.training.loop import train
from toolbox.training.recipe import Recipe

PHOTOS = Path(__file__).parent / "photos"
STEPS, SIGMA = 20, 25

DENSE = {"name": "rdn", "channels": 12, "blocks": 1, "layers": 2, "growth": 6}
RESIDUAL = {"name": "edsr", "channels": 12, "blocks": 1}
WINDOW = {"kind": "window", "size": 5}
ATTENTION = {"name": "nonlocal", "nonlocal": {"name": "wang-nonlocal", "neighborhood": WINDOW, "inner_channels": 6}}
# As in a transformer: attention, then convolutions, both with a skip.
TRANSFORMER = {
    "name": "chain",
    "encoders": [{"name": "residual", "scale": 0.2, "encoder": part} for part in (ATTENTION, RESIDUAL)],
}
LIIF = {"name": "local-ensemble", "hidden": [16]}

HYBRIDS: Mapping[str, Mapping[str, Any]] = {
    "a dense block, repeated": {
        "encoder": {
            "name": "recurrent",
            "steps": 3,
            "collect": "concat",
            "transition": {"name": "encoder", "channels": 12, "encoder": DENSE},
        },
    },
    "a transformer, repeated": {
        "encoder": {
            "name": "recurrent",
            "steps": 3,
            "transition": {"name": "encoder", "channels": 12, "encoder": TRANSFORMER},
        },
    },
    "two encoders side by side": {"encoder": {"name": "parallel", "encoders": [RESIDUAL, DENSE]}},
    "three encoders in a row": {"encoder": {"name": "chain", "encoders": [RESIDUAL, TRANSFORMER, DENSE]}},
    "non-local blocks in RDN": {
        "encoder": {
            "name": "with-nonlocal",
            "encoder": {**DENSE, "blocks": 2},
            "nonlocal": ATTENTION["nonlocal"],
            "after": ["blocks.0", "blocks.1"],
        },
    },
    "a frozen encoder under a new decoder": {
        "encoder": toolbox.load("diinn-lite").spec.encoder.to_data(),
        "normalization": toolbox.load("diinn-lite").spec.normalization.model_dump(),
        "decoder": LIIF,
    },
}
# More of the recipe of a hybrid, besides the network.
MORE: Mapping[str, Mapping[str, Any]] = {
    "a frozen encoder under a new decoder": {
        "weights": {"file": "diinn-lite", "only": "encoder"},
        "freeze": ["encoder"],
        "start": {},
    }
}


def recipe_of(name: str) -> Recipe:
    """Denoising by 20 steps on the photographs of examples/."""
    network = {"channels": 3, "global_skip": "bicubic", "decoder": "conv", "summary": name, **HYBRIDS[name]}
    settings = {
        "model": network,
        "data": str(PHOTOS),
        "degradation": {"name": "gaussian-noise", "sigma": SIGMA},
        "patch": 16,
        "batch": 4,
        "loss": "mse",
        "start": {"decoder.conv.weight": 0.1},  # near the identity
        "optimizer": {"lr": 0.002},
        "average": 0.5,
        "budget": {"steps": STEPS},
        "trackers": [],
        **MORE.get(name, {}),
    }
    return validated(Recipe, settings, installed())


def score(restorer: toolbox.Restorer) -> float:
    """PSNR in dB of a part of the first photograph, by the protocol denoise-color."""
    protocol = installed().protocols["denoise-color"]
    sample = read_sample(find_cases(PHOTOS, protocol)[0], protocol, SIGMA)
    part = (..., slice(100, 196), slice(100, 196))
    sample = type(sample)(sample.original[part], sample.degraded[part], 1.0, ())
    return score_picture(restorer, "part", sample, protocol)[0].psnr


def difference_of_tiles(restorer: toolbox.Restorer) -> float:
    """The largest difference between a picture restored in tiles and at once, of 255."""
    image = torch.rand(1, 3, 90, 70, generator=torch.Generator().manual_seed(0))
    config = restorer.spec.encoder.config
    tiling = Tiling(32, config.receptive_field() or 0, alignment_of(config))
    with torch.no_grad():
        whole = restorer(image).clamp(0, 1)
    return 255 * float((restore_tensor(restorer, image, tiling=tiling) - whole).abs().max())


for hybrid in HYBRIDS:
    recipe = recipe_of(hybrid)
    with tempfile.TemporaryDirectory() as folder:
        trained = train(recipe, Path(folder), hybrid)
    if trained is None:  # Ctrl-C
        break
    network = trained.restorer
    parts = " → ".join(part.name for part in network.spec.parts())
    print(f"{hybrid}: {parts}")
    print(
        f"  {sum(weight.numel() for weight in network.parameters()):,} weights, {score(network):.2f} dB after {STEPS}"
    )
    print(f"  in tiles {difference_of_tiles(network):.3f} of 255 from the whole")
    for part in recipe.freeze:
        before = toolbox.load("diinn-lite").get_submodule(part).state_dict()
        same = all(torch.equal(value, before[key]) for key, value in network.get_submodule(part).state_dict().items())
        print(f"  {part}: {'as it was' if same else 'changed'}")
