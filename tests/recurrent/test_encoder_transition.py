"""Any encoder as a transition, stems of choice, and states that are collected."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.parts import encoder_of, restorer_of
from toolbox.errors import SpecError
from toolbox.images.engine.tiling import encode_in_tiles, exact_tiling
from toolbox.resolve import resolve

EDSR = {"name": "edsr", "channels": 4, "blocks": 1}


def recurrent(**more: Any) -> dict[str, Any]:
    transition = {"name": "encoder", "channels": 4, "encoder": EDSR, **more.pop("transition", {})}
    return {"name": "recurrent", "steps": 3, "transition": transition, **more}


@pytest.mark.parametrize("add_stem", [True, False])
def test_the_encoder_is_repeated_with_shared_weights(add_stem: bool) -> None:
    encoder = encoder_of(recurrent(stem=EDSR, transition={"add_stem": add_stem}))
    image = torch.rand(1, 2, 6, 5, dtype=torch.float64)
    stem = state = encoder.stem(image)
    for _ in range(3):
        state = encoder.transition.encoder(state) + (stem if add_stem else 0)
    torch.testing.assert_close(encoder(image), state)


def test_all_states_can_be_side_by_side() -> None:
    image = torch.rand(1, 2, 6, 5, dtype=torch.float64)
    together = encoder_of(recurrent(collect="concat"))
    assert together.out_channels == 12
    states = []
    for steps in (1, 2, 3):
        fewer = encoder_of(recurrent(steps=steps))
        fewer.load_state_dict(together.state_dict())
        states.append(fewer(image))
    torch.testing.assert_close(together(image), torch.cat(states, 1))


def test_in_training_every_state_is_decoded_and_else_the_last() -> None:
    restorer = restorer_of(
        {"channels": 2, "encoder": recurrent(collect="all"), "decoder": "conv", "global_skip": "bicubic"}
    )
    image = torch.rand(2, 2, 6, 5, dtype=torch.float64)
    last = restorer(image)
    for norm in (module for module in restorer.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.track_running_stats = True
        norm.momentum = 0.0
    restorer.train()
    for norm in (module for module in restorer.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.eval()
    every = restorer(image)
    assert every.shape == (6, 2, 6, 5)
    torch.testing.assert_close(every[-2:], last)
    assert last.shape == image.shape


def test_an_aligned_encoder_inside_a_recurrence_is_tiled_exactly() -> None:
    aligned = {"name": "pixel-unshuffle", "factor": 2, "encoder": {"name": "edsr", "channels": 16, "blocks": 1}}
    encoder = recurrent(transition={"encoder": aligned}, steps=2)
    restorer = restorer_of({"channels": 1, "encoder": encoder, "decoder": "conv"})
    assert restorer.spec.encoder.config.alignment() == 2
    image = torch.rand(1, 1, 53, 41, dtype=torch.float64)
    with torch.no_grad():
        tiles = encode_in_tiles(restorer, image, exact_tiling(restorer.spec.encoder.config, 7), lambda: None)
        torch.testing.assert_close(tiles, restorer.encode(image))


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (recurrent(transition={"channels": 5}), r"encoder\.transition\.encoder: 'edsr' gives 4 channels for 5"),
        (recurrent(stem={**EDSR, "channels": 7}), r"encoder: stem 'edsr' gives 7 channels, expected 4"),
    ],
)
def test_channels_that_do_not_join_are_refused(encoder: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 1, "encoder": encoder, "decoder": "conv"})
