"""A drawn chain of degradations, since the pictures of a folder have different histories."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import BeforeValidator, Field
from torch import Generator, Tensor

from toolbox.config import Config
from toolbox.degradations.spec import DegradationSpec, degraded_by, listed
from toolbox.learning import Degraded
from toolbox.records import DegradationInfo


class DegradationChain(Config):
    """Degradations in a row; ``do: []`` leaves the picture unchanged."""

    weight: float = Field(default=1.0, gt=0, description="how often it is drawn, relative to the others")
    do: Annotated[tuple[DegradationSpec, ...], BeforeValidator(listed)] = Field(
        description="degradations of the patch, in this order; may be empty"
    )


class OneOfConfig(Config):
    """Settings of the choice."""

    chains: tuple[DegradationChain, ...] = Field(min_length=1, description="one of them is drawn for each patch")


def one_of(config: OneOfConfig, picture: Tensor, scale: float, generator: Generator) -> Degraded:
    """Degrade a patch by one chain, drawn by the weights, with the conditions of that chain."""
    weights = torch.tensor([chain.weight for chain in config.chains])
    drawn = config.chains[int(torch.multinomial(weights, 1, generator=generator))]
    return degraded_by(drawn.do, picture, scale, generator)


ONE_OF = DegradationInfo(
    name="one-of",
    degrade=one_of,
    config=OneOfConfig,
    summary="one of several chains of degradations, drawn for each patch by its weight",
    source="the blind training of DnCNN-3 (Zhang et al., IEEE TIP 2017), which mixes tasks so",
    example={"chains": [{"do": "eight-bits"}, {"do": {"name": "gaussian-noise", "sigma": 25}}]},
)
