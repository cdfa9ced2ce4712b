"""Non-local blocks put into EDSR: untrained they change nothing, and they go after any residual block."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import toolbox
from tests import plain, plain_decoders
from tests.parts import encoder_of, encoder_radius, reach
from toolbox.errors import SpecError
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.testing.measure import farthest

WINDOW = {"kind": "window", "size": 3}
BLOCKS: dict[str, dict[str, Any]] = {
    "soft-block-matching": {"neighborhood": WINDOW, "propagation": "none", "embedding_channels": 2},
    "wang-nonlocal": {"neighborhood": WINDOW, "inner_channels": 2},
}
block = pytest.mark.parametrize("name", BLOCKS)


def spec(name: str, after: list[int], **more: Any) -> dict[str, Any]:
    nonlocal_block = {"name": name, **BLOCKS[name], **more}
    return {"name": "edsr", "channels": 4, "blocks": 4, "nonlocal": nonlocal_block, "nonlocal_after": after}


def small(name: str, **encoder: Any) -> Restorer:
    """A network of the catalog with few channels and residual blocks, freshly built."""
    restorer = toolbox.build(name, encoder={"channels": 6, "blocks": 4, **encoder}, decoder={"channels": 6})
    return restorer.eval()


@pytest.mark.parametrize("name", ["edsr-baseline-nonlocal-x2", "edsr-baseline-wang-x2"])
@pytest.mark.parametrize("after", [[0], [3], [1, 2], [0, 1, 2, 3]], ids=str)
def test_freshly_put_in_they_change_no_bit(name: str, after: list[int]) -> None:
    without, with_blocks = small("edsr-baseline-x2"), small(name, nonlocal_after=after)
    left = with_blocks.load_state_dict(without.state_dict(), strict=False)
    assert not left.unexpected_keys
    assert {key.split(".")[:3][-1] for key in left.missing_keys} == {str(number) for number in after}
    assert all(key.startswith("encoder.nonlocal_blocks.") for key in left.missing_keys)
    image = torch.rand(2, 3, 17, 12)
    # Bit for bit on every processor: a restorer's features are channels last, also behind a block that adds zeros.
    assert torch.equal(with_blocks.encode(image), without.encode(image))
    assert torch.equal(with_blocks(image), without(image))


@pytest.mark.parametrize(("name", "block_name"), [("nonlocal", "soft-block-matching"), ("wang", "wang-nonlocal")])
def test_the_catalog_puts_one_after_the_middle(name: str, block_name: str) -> None:
    with_block, without = resolve(f"edsr-baseline-{name}-x2"), resolve("edsr-baseline-x2")
    config = with_block.encoder.config
    assert config.nonlocal_block.name == block_name
    assert config.nonlocal_after == (7,)
    same = config.model_copy(update={"nonlocal_block": None, "nonlocal_after": ()})
    assert same == without.encoder.config
    assert with_block.decoder == without.decoder
    assert with_block.normalization == without.normalization


def expected(encoder: Any, image: Tensor, name: str) -> Tensor:
    """EDSR as a formula, with each non-local block after the residual block whose number it has."""
    shallow = features = plain.conv(image, encoder.head)
    for number, residual in enumerate(encoder.blocks):
        first, _, second = residual.body
        features = features + plain.conv(plain.relu(plain.conv(features, first)), second)
        if str(number) in encoder.nonlocal_blocks:
            own = encoder.nonlocal_blocks[str(number)]
            queries, keys, values = (plain.conv(features, layer) for layer in (own.theta, own.phi, own.g))
            gathered = plain_decoders.gathered(queries, keys, values, size=3)
            features = features + (plain.conv(gathered, own.projection) if name == "wang-nonlocal" else gathered)
    return shallow + plain.conv(features, encoder.tail)


@block
@pytest.mark.parametrize("after", [[0], [1], [2], [3], [2, 0]], ids=str)
def test_a_block_goes_after_any_residual_block(name: str, after: list[int]) -> None:
    encoder = encoder_of(spec(name, after))
    assert set(encoder.nonlocal_blocks) == {str(number) for number in after}
    image = torch.randn(2, 2, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(encoder(image), expected(encoder, image, name))


def test_each_place_has_a_block_of_its_own() -> None:
    one, two = encoder_of(spec("wang-nonlocal", [1])), encoder_of(spec("wang-nonlocal", [1, 3]))
    counts = [sum(p.numel() for p in encoder.nonlocal_blocks.parameters()) for encoder in (one, two)]
    assert 0 < 2 * counts[0] == counts[1]


@block
def test_the_first_step_of_training_reaches_what_keeps_them_silent(name: str) -> None:
    data = {"channels": 2, "encoder": spec(name, [1]), "decoder": "residual-conv"}
    encoder = resolve(data).encoder.build(channels=2)
    encoder(torch.randn(1, 2, 6, 7)).square().sum().backward()
    own = encoder.nonlocal_blocks["1"]
    silent = own.projection if name == "wang-nonlocal" else own.g
    assert not silent.weight.any()
    assert silent.weight.grad.any()


@block
@pytest.mark.parametrize("after", [[0], [1, 3], [2, 2]], ids=str)
def test_a_feature_sees_as_far_as_declared(name: str, after: list[int]) -> None:
    encoder = encoder_of(spec(name, after))
    convolutions = 2 + 2 * 4
    declared = encoder_radius(spec(name, after))
    assert declared == convolutions + len(set(after))
    far = farthest(encoder, torch.randn(1, 2, 3, declared + 3, dtype=torch.float64))
    assert far == declared


def test_with_a_block_over_the_whole_image_a_feature_sees_everything() -> None:
    whole = spec("wang-nonlocal", [0], neighborhood={"kind": "whole"})
    encoder = encoder_of(whole)
    assert encoder_radius(whole) is None
    assert len(reach(encoder, torch.randn(1, 2, 3, 14, dtype=torch.float64))) == 42 * 42


def test_a_block_without_parameters_goes_in_too() -> None:
    nonlocal_block = {"name": "nl-means", "neighborhood": WINDOW, "patch": 3}
    settings = {"name": "edsr", "channels": 4, "blocks": 2, "nonlocal": nonlocal_block, "nonlocal_after": [1]}
    encoder = encoder_of(settings)
    assert encoder_radius(settings) == 2 + 2 * 2 + 1 + 1
    assert encoder(torch.randn(1, 2, 6, 7, dtype=torch.float64)).shape == (1, 4, 6, 7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nonlocal_after": [4]}, r"\.nonlocal_after: got 4, expected a block from 0 to 3$"),
        ({"nonlocal_after": [1, -1]}, r"\.nonlocal_after: got -1, expected a block from 0 to 3$"),
        ({"nonlocal_after": []}, r"\.nonlocal_after: nonlocal and nonlocal_after go together; give both or neither$"),
        ({"nonlocal": None}, r"\.nonlocal_after: nonlocal and nonlocal_after go together; give both or neither$"),
        ({"nonlocal_after": ["first"]}, r"\.nonlocal_after\.0: got 'first', expected a valid integer"),
        ({"nonlocal_after": 1}, r"\.nonlocal_after: got 1, expected a valid tuple$"),
        ({"nonlocal": "wang-nonlocl"}, r"\.nonlocal\.name: unknown nonlocal block 'wang-nonlocl'; did you mean "),
        ({"nonlocal_befor": [1]}, r"\.nonlocal_befor: unknown key; did you mean 'nonlocal_after'\?$"),
    ],
)
def test_blocks_in_no_place_are_refused_in_the_spec(changes: dict[str, Any], message: str) -> None:
    encoder = {**spec("wang-nonlocal", [1]), **changes}
    with pytest.raises(SpecError, match=r"^encoder" + message):
        resolve({"channels": 3, "encoder": encoder, "decoder": "residual-conv"})


def test_a_block_goes_before_the_first_residual_block() -> None:
    encoder = encoder_of(spec("wang-nonlocal", [1], neighborhood={"kind": "whole"}) | {"nonlocal_at_start": True})
    assert set(encoder.nonlocal_blocks) == {"first", "1"}
    image = torch.randn(1, 2, 5, 4, dtype=torch.float64)
    features = shallow = plain.conv(image, encoder.head)
    features = encoder.nonlocal_blocks["first"](features)[0]
    for number, residual in enumerate(encoder.blocks):
        features = residual(features)
        if number == 1:
            features = encoder.nonlocal_blocks["1"](features)[0]
    torch.testing.assert_close(encoder(image), shallow + plain.conv(features, encoder.tail))
    assert encoder_radius({**spec("wang-nonlocal", [1]), "nonlocal_at_start": True}) == 12
