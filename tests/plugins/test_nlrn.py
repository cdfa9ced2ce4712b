"""NLRN: its transition within the recurrent wrapper, and the published network's size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import toolbox
from tests import plain
from tests.parts import decoder_of, encoder_of, encoder_radius, reach, restorer_of
from toolbox.errors import SpecError
from toolbox.resolve import resolve
from toolbox.testing.measure import drawn, farthest

SMALL = {"name": "soft-block-matching", "embedding_channels": 2}


def nlrn_spec(nonlocal_block: dict[str, Any] | None, steps: int = 2) -> dict[str, Any]:
    transition = {"name": "nonlocal-residual", "channels": 3, "nonlocal": nonlocal_block}
    return {"name": "recurrent", "steps": steps, "transition": transition}


def nlrn(nonlocal_block: dict[str, Any] | None, steps: int = 2) -> Any:
    return encoder_of(nlrn_spec(nonlocal_block, steps))


@given(
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    size=st.sampled_from((1, 3, 5)),
    border=st.sampled_from(("clip", "zero", "shift")),
    propagation=st.sampled_from(("none", "accumulate")),
    steps=st.integers(1, 3),
)
def test_it_equals_the_plain_one(height: int, width: int, size: int, border: str, propagation: str, steps: int) -> None:
    neighborhood = {"kind": "window", "size": size, "border": border}
    encoder = nlrn({**SMALL, "neighborhood": neighborhood, "propagation": propagation}, steps)
    image = torch.randn(2, 2, height, width, dtype=torch.float64)
    expected = plain.nlrn_features(encoder, image, steps=steps, size=size, border=border, propagation=propagation)
    torch.testing.assert_close(encoder(image), expected)


@pytest.mark.parametrize("propagation", ["none", "accumulate"])
@pytest.mark.parametrize("training", [False, True])
def test_over_whole_images_it_equals_the_plain_one_also_in_training(propagation: str, training: bool) -> None:
    encoder = nlrn({**SMALL, "neighborhood": {"kind": "whole"}, "propagation": propagation}, steps=3)
    encoder.train(training)
    image = torch.randn(2, 2, 4, 5, dtype=torch.float64)
    expected = plain.nlrn_features(encoder, image, steps=3, propagation=propagation, training=training)
    torch.testing.assert_close(encoder(image), expected)


def test_without_a_nonlocal_block_it_is_a_residual_network() -> None:
    encoder = nlrn(None, steps=3)
    image = torch.randn(2, 2, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(encoder(image), plain.nlrn_features(encoder, image, steps=3, attends=False))


def test_propagation_changes_the_second_state_and_not_the_first() -> None:
    neighborhood = {"kind": "window", "size": 3}
    image = torch.randn(1, 2, 6, 6, dtype=torch.float64)

    def features(propagation: str, steps: int) -> torch.Tensor:
        encoder = nlrn({**SMALL, "neighborhood": neighborhood, "propagation": propagation}, steps)
        other = nlrn({**SMALL, "neighborhood": neighborhood, "propagation": "none"}, steps)
        torch.manual_seed(3)
        drawn(other)
        encoder.load_state_dict(other.state_dict())
        result: torch.Tensor = encoder(image)
        return result

    torch.testing.assert_close(features("none", 1), features("accumulate", 1))
    assert not torch.allclose(features("none", 2), features("accumulate", 2))


@pytest.mark.parametrize(
    ("block", "declared"),
    [
        (None, 1 + 2 * 2),
        ({**SMALL, "neighborhood": {"kind": "window", "size": 3}}, 1 + 2 * (1 + 2)),
        ({**SMALL, "neighborhood": {"kind": "window", "size": 3, "border": "zero"}}, 1 + 2 * (1 + 2)),
        ({**SMALL, "neighborhood": {"kind": "window", "size": 3, "border": "shift"}}, 1 + 2 * (2 + 2)),
    ],
    ids=["without", "clip", "zero", "shift"],
)
def test_a_feature_sees_no_farther_than_declared(block: dict[str, Any] | None, declared: int) -> None:
    assert encoder_radius(nlrn_spec(block)) == declared
    far = farthest(nlrn(block), torch.randn(1, 2, 8, declared + 3, dtype=torch.float64))
    # Only in the corners does a shifted window look that far, and two states cannot both be there.
    assert far <= declared if block and "shift" in str(block) else far == declared


def test_over_whole_images_a_feature_sees_everything() -> None:
    block = {**SMALL, "neighborhood": {"kind": "whole"}}
    assert encoder_radius(nlrn_spec(block)) is None
    assert len(reach(nlrn(block, steps=1), torch.randn(1, 2, 7, 6, dtype=torch.float64))) == 42 * 42


@pytest.mark.parametrize("channels", [1, 3])
def test_enlarging_restores_the_luma_of_the_bicubic_image(channels: int) -> None:
    inner = {"name": "edsr", "channels": 4, "blocks": 1}
    spec = {"name": "refine-luma", "encoder": inner, "decoder": "residual-conv"}
    decoder = decoder_of(spec, features=channels, channels=channels)
    image = torch.rand(2, channels, 4, 5, dtype=torch.float64)
    enlarged = plain.bicubic(image, (9, 11), antialias=False)
    weights = torch.tensor([65.738, 129.057, 25.064], dtype=torch.float64).view(3, 1, 1) / 256
    seen = enlarged if channels == 1 else (enlarged * weights).sum(1, keepdim=True) + 16 / 255
    head = decoder.decoder
    features = plain.edsr(decoder.encoder, seen, 1.0)
    residual = plain.conv(plain.relu(plain.batch_norm(features, head.norm)), head.conv)
    result = decoder(image, (9, 11))
    if channels == 1:
        torch.testing.assert_close(result, enlarged + residual)
        return
    # The luma is the restored one; what is left of it, the chroma, is that of the bicubic image.
    torch.testing.assert_close((result * weights).sum(1, keepdim=True) + 16 / 255, seen + residual)
    torch.testing.assert_close(result - result.mean(1, keepdim=True), enlarged - enlarged.mean(1, keepdim=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 2}, r"^decoder: refine-luma got 2 channels, expected a gray or RGB image; use encoder identity "),
        ({"encoder": "edsr"}, r"^decoder: refine-luma got 64 channels, expected a gray or RGB image; use encoder "),
    ],
)
def test_what_has_no_luma_is_refused_in_the_spec(changes: dict[str, Any], message: str) -> None:
    decoder = {"name": "refine-luma", "encoder": "edsr", "decoder": "residual-conv"}
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 3, "encoder": "identity", "decoder": decoder, **changes})


def test_super_resolution_takes_any_size_of_color_images() -> None:
    block = {"embedding_channels": 2, "neighborhood": {"size": 3}}
    inner = {"steps": 1, "transition": {"channels": 3, "nonlocal": block}}
    restorer = drawn(toolbox.build("nlrn-sr", decoder={"encoder": inner}))
    assert restorer(torch.rand(1, 3, 4, 5, dtype=torch.float64), size=(7, 9)).shape == (1, 3, 7, 9)


def test_the_published_network_has_the_published_size() -> None:
    with torch.device("meta"):
        restorer = toolbox.build("nlrn")
    trainable = sum(p.numel() for p in restorer.parameters())
    convolutions = [m for m in restorer.modules() if isinstance(m, nn.Conv2d)]
    statistics = [b for name, b in restorer.named_buffers() if name.endswith(("running_mean", "running_var"))]
    assert trainable == 340_099
    assert sum(p.numel() for m in convolutions for p in m.parameters()) == 330_625
    assert trainable + sum(b.numel() for b in statistics) == 349_573


def test_the_published_network_sees_0_to_255_and_adds_what_it_finds_to_the_input() -> None:
    transition = {"channels": 3, "nonlocal": {"embedding_channels": 2, "neighborhood": {"size": 3}}}
    spec = toolbox.build("nlrn", encoder={"steps": 2, "transition": transition}).spec
    restorer = restorer_of(spec)
    image = torch.rand(1, 1, 5, 6, dtype=torch.float64)
    features = plain.nlrn_features(restorer.encoder, 255 * image, steps=2, size=3, propagation="accumulate")
    head = restorer.decoder
    residual = plain.conv(plain.relu(plain.batch_norm(features, head.norm)), head.conv)
    torch.testing.assert_close(restorer(image), image + residual / 255)
