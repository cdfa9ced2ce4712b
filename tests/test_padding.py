"""Padding: by what a network needs, and nothing of it is seen in the result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.parts import component, installed_and, restorer_of
from toolbox.composition import judge, needs_in_words
from toolbox.config import EncoderConfig, Padding
from toolbox.errors import SpecError
from toolbox.images.engine.tiling import encode_in_tiles, exact_tiling
from toolbox.padding import cropped, padded, reflected
from toolbox.resolve import resolve

MODES: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "zeros": "constant"}


@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    multiple=st.integers(1, 9),
    mode=st.sampled_from(("reflect", "replicate", "zeros")),
)
def test_it_is_numpy_s_at_the_bottom_and_right(height: int, width: int, multiple: int, mode: Any) -> None:
    image = np.arange(height * width, dtype=np.float64).reshape(height, width) + 1
    expected = np.pad(image, ((0, -height % multiple), (0, -width % multiple)), MODES[mode])
    got = padded(torch.from_numpy(image)[None, None], Padding(multiple, mode))
    np.testing.assert_array_equal(got[0, 0].numpy(), expected)


@given(before=st.integers(0, 20), after=st.integers(0, 20), length=st.integers(1, 6))
def test_reflection_is_numpy_s_at_both_ends(before: int, after: int, length: int) -> None:
    image = np.arange(length)
    found = reflected(length, after, torch.zeros(()), before=before)
    assert found.tolist() == np.pad(image, (before, after), "reflect").tolist()


@given(height=st.integers(1, 9), width=st.integers(1, 9), more=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_what_is_cropped_is_at_the_bottom_and_right(height: int, width: int, more: tuple[int, int]) -> None:
    image = torch.rand(1, 2, height + more[0], width + more[1])
    assert torch.equal(cropped(image, height, width), image[:, :, :height, :width])


class WindowedConfig(EncoderConfig):
    """Windows of four pixels a side."""

    mode: str = "reflect"

    def out_channels(self, channels: int) -> int:
        return channels

    def receptive_field(self) -> int | None:
        return 3

    def alignment(self) -> int:
        return 4

    def padding(self) -> Padding:
        return Padding(4, self.mode)  # type: ignore[arg-type]  # a test may ask for any


class Windowed(nn.Module):
    """(B, C, H, W) → the same: each window gets its mean added, which needs whole windows."""

    def __init__(self, config: Any, channels: int) -> None:
        super().__init__()
        self.out_channels = channels

    def forward(self, image: Tensor) -> Tensor:
        assert all(side % 4 == 0 for side in image.shape[2:])
        windows = image.unflatten(2, (-1, 4)).unflatten(4, (-1, 4))
        return (windows + windows.mean((3, 5), keepdim=True)).flatten(4, 5).flatten(2, 3)


REGISTRIES = installed_and(component("windowed", "encoder", Windowed, WindowedConfig))
SHUFFLE = {"name": "pixel-shuffle", "scale": 2, "channels": 4}


@pytest.mark.parametrize(("decoder", "scale"), [("conv", 1), (SHUFFLE, 2)], ids=["same", "fixed"])
def test_a_result_is_cut_off_behind_the_decoder(decoder: Any, scale: int) -> None:
    restorer = restorer_of({"channels": 2, "encoder": "windowed", "decoder": decoder}, REGISTRIES)
    image = torch.rand(1, 2, 10, 7, dtype=torch.float64)
    whole = restorer(padded(image, Padding(4)))
    torch.testing.assert_close(restorer(image), whole[..., : scale * 10, : scale * 7])


def test_a_decoder_of_any_size_sees_the_features_of_the_image_alone() -> None:
    spec = {"channels": 2, "encoder": "windowed", "decoder": {"name": "dual-interactive", "hidden": [5]}}
    restorer = restorer_of(spec, REGISTRIES)
    image = torch.rand(1, 2, 10, 7, dtype=torch.float64)
    features = restorer.encode(restorer.pad(image))[..., :10, :7]
    torch.testing.assert_close(restorer(image, size=(21, 9)), restorer.decoder(features, (21, 9)))


@pytest.mark.parametrize("wrapper", ["alone", "recurrent", "chain"])
def test_tiles_of_a_picture_that_is_padded_give_the_whole(wrapper: str) -> None:
    windowed: Any = "windowed"
    if wrapper == "recurrent":
        windowed = {
            "name": "recurrent",
            "transition": {"name": "encoder", "channels": 2, "encoder": windowed},
            "steps": 2,
        }
    if wrapper == "chain":
        windowed = {"name": "chain", "encoders": ["windowed", {"name": "edsr", "channels": 3, "blocks": 1}]}
    restorer = restorer_of({"channels": 2, "encoder": windowed, "decoder": "conv"}, REGISTRIES)
    config = restorer.spec.encoder.config
    assert (config.alignment(), config.padding()) == (4, Padding(4))
    image = restorer.pad(torch.rand(1, 2, 45, 38, dtype=torch.float64))
    with torch.no_grad():
        tiles = encode_in_tiles(restorer, image, exact_tiling(config, 8), lambda: None)
        torch.testing.assert_close(tiles, restorer.encode(image))


def test_parts_that_pad_in_different_ways_are_refused() -> None:
    encoders = [{"name": "windowed", "mode": "reflect"}, {"name": "windowed", "mode": "zeros"}]
    spec = {"channels": 2, "encoder": {"name": "chain", "encoders": encoders}, "decoder": "conv"}
    with pytest.raises(
        SpecError, match="encoder: got parts that pad with reflect and with zeros, expected one way for"
    ):
        resolve(spec, registries=REGISTRIES)


def test_what_a_network_needs_is_said_in_words() -> None:
    spec = {"channels": 2, "encoder": {"name": "windowed", "mode": "zeros"}, "decoder": "conv"}
    facts = judge("mine", spec, REGISTRIES).facts
    assert needs_in_words(facts) == {
        "padding": "sides to multiples of 4, with zeros",
        "tiles": "start at multiples of 4",
    }
    plain = judge("mine", {"channels": 2, "encoder": "edsr", "decoder": "conv"}, REGISTRIES).facts
    assert needs_in_words(plain) == {}
