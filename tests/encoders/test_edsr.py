"""EDSR's body against its formula."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests import plain
from tests.parts import encoder_of, encoder_radius
from toolbox.encoders.edsr import EDSRConfig
from toolbox.errors import SpecError
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest


@pytest.mark.parametrize("residual_scale", [1.0, 0.1])
def test_it_equals_the_plain_one(residual_scale: float) -> None:
    encoder = encoder_of({"name": "edsr", "channels": 4, "blocks": 3, "residual_scale": residual_scale})
    image = torch.randn(2, 2, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(encoder(image), plain.edsr(encoder, image, residual_scale))


@pytest.mark.parametrize(("preset", "channels", "blocks", "scale"), [("baseline", 64, 16, 1.0), ("full", 256, 32, 0.1)])
def test_presets_are_the_published_settings(preset: str, channels: int, blocks: int, scale: float) -> None:
    expected = EDSRConfig(channels=channels, blocks=blocks, residual_scale=scale)
    spec = resolve({"channels": 3, "encoder": {"name": "edsr", "preset": preset}, "decoder": "residual-conv"})
    assert spec.encoder.config == expected


BLOCK = {
    "name": "soft-block-matching",
    "embedding_channels": 2,
    "neighborhood": {"kind": "window", "size": 3},
    "propagation": "accumulate",
}


def test_nonlocal_blocks_come_after_the_residual_blocks_named_and_share_correlation() -> None:
    encoder = encoder_of({"name": "edsr", "channels": 4, "blocks": 4, "nonlocal": BLOCK, "nonlocal_after": [2, 0]})
    image = torch.randn(2, 2, 5, 7, dtype=torch.float64)
    shallow = features = plain.conv(image, encoder.head)
    seen = []
    for number, block in enumerate(encoder.blocks):
        first, _, second = block.body
        features = features + plain.conv(plain.relu(plain.conv(features, first)), second)
        if number in (0, 2):
            own = encoder.nonlocal_blocks[str(number)]
            seen.append((plain.conv(features, own.theta), plain.conv(features, own.phi)))
            features = features + plain.attention(seen, plain.conv(features, own.g), 3)
    torch.testing.assert_close(encoder(image), shallow + plain.conv(features, encoder.tail))


def test_untrained_nonlocal_blocks_change_nothing() -> None:
    without = encoder_of({"name": "edsr", "channels": 4, "blocks": 2}).float()
    spec = {"name": "edsr", "channels": 4, "blocks": 2, "nonlocal": BLOCK, "nonlocal_after": [1]}
    untrained = resolve({"channels": 2, "encoder": spec, "decoder": "residual-conv"}).encoder.build(channels=2)
    untrained.load_state_dict(without.state_dict(), strict=False)
    image = torch.randn(1, 2, 5, 7)
    torch.testing.assert_close(untrained(image), without(image))  # the layout changes, and with it the rounding


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nonlocal": BLOCK}, "nonlocal and nonlocal_after go together; give both or neither"),
        ({"nonlocal_after": [1]}, "nonlocal and nonlocal_after go together; give both or neither"),
        ({"nonlocal": BLOCK, "nonlocal_after": [1, 2]}, "got 2, expected a block from 0 to 1"),
        ({"nonlocal": BLOCK, "nonlocal_after": [-1]}, "got -1, expected a block from 0 to 1"),
    ],
)
def test_nonlocal_blocks_in_no_place_are_refused(settings: dict[str, Any], message: str) -> None:
    encoder = {"name": "edsr", "blocks": 2, **settings}
    with pytest.raises(SpecError, match=rf"^encoder\.nonlocal_after: {message}$"):
        resolve({"channels": 2, "encoder": encoder, "decoder": "residual-conv"})


@pytest.mark.parametrize("after", [[0], [0, 1], [1, 1]])
def test_a_feature_sees_as_far_as_declared_with_nonlocal_blocks(after: list[int]) -> None:
    spec = {"name": "edsr", "channels": 4, "blocks": 2, "nonlocal": BLOCK, "nonlocal_after": after}
    encoder = encoder_of(spec)
    far = farthest(encoder, torch.randn(1, 2, 5, 11, dtype=torch.float64))
    assert far == encoder_radius(spec) == 6 + len(set(after))


def test_with_a_nonlocal_block_over_the_whole_image_a_feature_sees_everything() -> None:
    spec = {"name": "edsr", "channels": 4, "blocks": 1, "nonlocal": "wang-nonlocal", "nonlocal_after": [0]}
    assert encoder_radius(spec) is None


def test_a_feature_sees_as_far_as_declared() -> None:
    spec = {"name": "edsr", "channels": 4, "blocks": 2}
    far = farthest(encoder_of(spec), torch.randn(1, 2, 8, 9, dtype=torch.float64))
    assert far == encoder_radius(spec) == 6
