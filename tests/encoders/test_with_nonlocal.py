"""Non-local blocks behind any encoder, or behind modules inside it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.parts import restorer_of
from toolbox.errors import SpecError
from toolbox.images.engine.tiling import Tiling, encode_in_tiles
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.testing.measure import farthest

RDN = {"name": "rdn", "channels": 4, "blocks": 3, "layers": 2, "growth": 3}
BLOCK = {"name": "wang-nonlocal", "neighborhood": {"kind": "window", "size": 3}}


def spec(encoder: Any = RDN, **more: Any) -> dict[str, Any]:
    encoder = {"name": "with-nonlocal", "encoder": encoder, "nonlocal": BLOCK, **more}
    return {"channels": 3, "encoder": encoder, "decoder": "conv"}


def test_untrained_blocks_leave_the_network_as_it_was() -> None:
    torch.manual_seed(0)
    restorer = Restorer(resolve(spec(after=["blocks.0", "blocks.2"]))).eval()
    plain = Restorer(resolve({"channels": 3, "encoder": RDN, "decoder": "conv"})).eval()
    weights = {
        name.replace(".module.", ".").replace("encoder.encoder.", "encoder."): w
        for name, w in restorer.state_dict().items()
    }
    plain.load_state_dict({name: weight for name, weight in weights.items() if ".block." not in name})
    image = torch.rand(1, 3, 9, 8)
    torch.testing.assert_close(restorer(image), plain(image))


def test_each_place_has_a_block_of_its_own_that_takes_part() -> None:
    restorer = restorer_of(spec(after=["blocks.0", "blocks.2"]))
    image = torch.rand(1, 3, 6, 6, dtype=torch.float64)
    before = restorer(image)
    for number in (0, 2):
        with torch.no_grad():
            block = restorer.encoder.encoder.blocks[number].block
            next(iter(block.parameters())).mul_(2)
        after = restorer(image)
        assert not torch.allclose(before, after)
        before = after


@pytest.mark.parametrize(("after", "blocks"), [((), 1), (("blocks.1",), 1), (("blocks.0", "blocks.2"), 2)])
def test_every_block_adds_to_what_a_feature_sees(after: tuple[str, ...], blocks: int) -> None:
    inner = resolve({"channels": 3, "encoder": RDN, "decoder": "conv"}).encoder.config.receptive_field()
    assert resolve(spec(after=after)).encoder.config.receptive_field() == inner + blocks


@pytest.mark.parametrize(
    ("encoder", "after", "message"),
    [
        (RDN, ["block.0"], r"encoder: 'rdn' has no module 'block\.0'; did you mean 'blocks\.0'"),
        (
            {"name": "pixel-unshuffle", "encoder": {"name": "edsr", "channels": 12, "blocks": 1}},
            ["encoder.blocks.0"],
            r"module 'encoder\.blocks\.0' of 'pixel-unshuffle' does not give features of all pixels once",
        ),
    ],
)
def test_a_place_where_a_block_cannot_be_is_refused(encoder: Any, after: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve(spec(encoder, after=after))


def test_a_block_between_windows_widens_by_whole_windows() -> None:
    windowed = {"name": "swinir", "channels": 4, "depths": [2, 2], "heads": [1, 1], "hidden": 6, "window": 4}
    block = {**BLOCK, "neighborhood": {"kind": "window", "size": 7, "border": "zero"}}
    network = spec(windowed, **{"nonlocal": block, "after": ["groups.0"]})
    restorer = restorer_of({**network, "channels": 1})
    alone = resolve({"channels": 1, "encoder": windowed, "decoder": "conv"}).encoder.config.receptive_field()
    radius = restorer.spec.encoder.config.receptive_field()
    assert radius == alone + 4  # though the block itself sees 3 pixels
    image = torch.rand(1, 1, 4 * radius, 4, dtype=torch.float64)
    with torch.no_grad():
        in_tiles = encode_in_tiles(restorer, image, Tiling(4, radius, 4), lambda: None)
        torch.testing.assert_close(in_tiles, restorer.encode(image), rtol=0, atol=1e-9)
    assert alone + 3 < farthest(restorer.encode, image) <= radius
