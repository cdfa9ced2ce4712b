"""The encoder that is one non-local block on the image itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests import plain, plain_decoders
from tests.parts import encoder_of, encoder_radius
from toolbox.errors import SpecError
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest

WINDOW = {"kind": "window", "size": 3}
SOFT = {"name": "soft-block-matching", "neighborhood": WINDOW, "embedding_channels": 2}
MEANS = {"name": "nl-means", "neighborhood": WINDOW, "patch": 3, "strength": 0.4}


def test_it_applies_its_block_to_the_image_once() -> None:
    encoder = encoder_of({"name": "nonlocal", "nonlocal": SOFT})
    image = torch.rand(2, 2, 4, 5, dtype=torch.float64)
    own = encoder.nonlocal_block
    queries, keys, values = (plain.conv(image, layer) for layer in (own.theta, own.phi, own.g))
    torch.testing.assert_close(encoder(image), image + plain_decoders.gathered(queries, keys, values, size=3))


@pytest.mark.parametrize(
    ("block", "declared"),
    [(SOFT, 1), (MEANS, 1 + 1), ({**SOFT, "neighborhood": {**WINDOW, "border": "shift"}}, 2)],
    ids=["soft-block-matching", "nl-means", "shifted"],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_it_keeps_the_channels_and_sees_what_its_block_sees(
    block: dict[str, Any], declared: int, channels: int
) -> None:
    spec = {"name": "nonlocal", "nonlocal": block}
    encoder = encoder_of(spec, channels=channels)
    assert encoder.out_channels == channels
    assert encoder_radius(spec) == declared
    image = torch.rand(1, channels, 6, 7, dtype=torch.float64)
    far = farthest(encoder, image)
    assert far == declared


def test_a_block_over_the_whole_image_has_no_radius() -> None:
    assert encoder_radius({"name": "nonlocal", "nonlocal": "wang-nonlocal"}) is None


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ({"name": "nonlocal"}, r"^encoder\.nonlocal: missing; this key is required$"),
        ("nonlocal", r"^encoder\.nonlocal: missing; this key is required$"),
        ({"name": "nonlocal", "nonlocal": "nl-mean"}, r"^encoder\.nonlocal\.name: unknown .*; did you mean 'nl-means'"),
        (
            {"name": "nonlocal", "nonlocal": "edsr"},
            r"^encoder\.nonlocal\.name: 'edsr' is of kind encoder, expected a component of kind nonlocal-block",
        ),
    ],
)
def test_what_is_no_block_is_refused_in_the_spec(encoder: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 1, "encoder": encoder, "decoder": "features"})
