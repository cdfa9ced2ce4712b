"""The restorer: what it accepts, and that it is its parts and nothing else."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import toolbox
from tests import plain
from tests.parts import DECODERS, ENCODERS, architecture, component, fits, installed_and, restorer_of
from toolbox.decoders.skip import resized
from toolbox.encoders.identity import Identity
from toolbox.errors import SpecError, UnknownComponent
from toolbox.resolve import resolve
from toolbox.restorer import Restorer, scaled_size
from toolbox.testing.measure import drawn, farthest

IMAGE = {"channels": 3, "encoder": "identity", "decoder": "bicubic"}
SAME = {"channels": 3, "encoder": {"name": "edsr", "channels": 4, "blocks": 1}, "decoder": "residual-conv"}
DOUBLE = {**SAME, "decoder": {"name": "pixel-shuffle", "scale": 2, "channels": 4}}


def joined(encoder: str, decoder: str) -> dict[str, Any]:
    """A small architecture; for the decoder that gives the features themselves, with their channels."""
    spec = architecture(encoder, decoder)
    if decoder == "features":
        spec["output_channels"] = resolve(architecture(encoder, "residual-conv")).encoder.config.out_channels(3)
    return spec


def joins(encoder: str, decoder: str) -> bool:
    """Whether a decoder takes an encoder's features, or, for the decoder that gives them, whether they are a result."""
    return decoder == "features" or fits(encoder, decoder)


PAIRS = [pair for pair in itertools.product(ENCODERS, DECODERS) if joins(*pair)]
pair = pytest.mark.parametrize(("encoder", "decoder"), PAIRS)


def test_a_decoder_takes_any_features_or_images_alone() -> None:
    features = {name: resolve(architecture(name, "residual-conv")).encoder.config.out_channels(3) for name in ENCODERS}
    images = {name for name, channels in features.items() if channels == 3}
    taken = {decoder: {encoder for encoder, other in PAIRS if other == decoder} for decoder in DECODERS}
    taken["self-exemplars"] |= {"nafnet"}  # refused, since the two pad in different ways
    taken["mixed-states"] |= set(ENCODERS)  # refused where the channels are not those of three states
    assert taken.pop("depth-to-space") == {name for name, channels in features.items() if channels == 12}
    assert all(encoders in (set(ENCODERS), images) for encoders in taken.values())
    assert taken["bicubic"] == images
    assert taken["features"] == taken["pixel-shuffle"] == set(ENCODERS) > images > set()


@pair
def test_every_fitting_pair_restores_every_size_it_accepts(encoder: str, decoder: str) -> None:
    """One size that is not the decoder's usual one; the conformance kit has each decoder restore many."""
    spec = joined(encoder, decoder)
    restorer = restorer_of(spec)
    assert restorer.spec == resolve(spec)
    image = torch.rand(2, 3, 5, 7, dtype=torch.float64)
    channels = restorer.spec.output_channels or 3
    own = restorer.sizes if isinstance(restorer.sizes, int) else 1
    for size in [(9, 4), None] if restorer.sizes == "any" else [None]:
        restored = restorer(image, size=size)
        assert restored.shape == (2, channels, *(size or (5 * own, 7 * own)))
        assert restored.dtype == torch.float64
        assert restored.isfinite().all()


# The formula around the parts.


@pytest.mark.parametrize("mean", [0.0, 0.4, [0.1, 0.5, 0.9]])
@pytest.mark.parametrize("std", [1.0, 1 / 255, [0.5, 1.0, 2.0]])
@pytest.mark.parametrize("skip", ["none", "bicubic"])
@pytest.mark.parametrize("size", [(5, 6), (9, 13), (3, 4)], ids=["same", "larger", "smaller"])
def test_normalization_and_skip_are_around_encoder_and_decoder(
    mean: Any, std: Any, skip: str, size: tuple[int, int]
) -> None:
    spec = architecture("edsr", "dual-interactive", normalization={"mean": mean, "std": std}, global_skip=skip)
    restorer = restorer_of(spec)
    image = torch.rand(2, 3, 5, 6, dtype=torch.float64)
    m, s = (torch.tensor(v, dtype=torch.float64).expand(3)[None, :, None, None].float().double() for v in (mean, std))
    decoded = restorer.decoder(restorer.encoder((image - m) / s), size) * s
    if skip == "none":
        expected = decoded + m
    elif size == (5, 6):
        expected = decoded + image
    else:
        expected = decoded + plain.bicubic(image, size, antialias=size < (5, 6))
    torch.testing.assert_close(restorer(image, size=size), expected)


@given(mean=st.floats(-1, 1), std=st.floats(0.01, 10))
def test_normalization_is_undone(mean: float, std: float) -> None:
    restorer = restorer_of({**IMAGE, "normalization": {"mean": mean, "std": std}})
    image = torch.rand(1, 3, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(restorer(image), image)


def test_encoding_and_decoding_apart_are_the_restorer() -> None:
    restorer = restorer_of(architecture("edsr", "dual-interactive", global_skip="bicubic", normalization={"std": 0.5}))
    image = torch.rand(1, 3, 5, 6, dtype=torch.float64)
    assert torch.equal(restorer.decode(restorer.encode(image), image, (7, 8)), restorer(image, size=(7, 8)))


def test_the_output_is_not_clamped() -> None:
    restorer = restorer_of(architecture("edsr", "residual-conv", normalization={"std": 10.0}))
    restored = restorer(torch.rand(1, 3, 8, 8, dtype=torch.float64))
    assert restored.max() > 1 or restored.min() < 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_output_is_of_the_input_s_type(dtype: torch.dtype) -> None:
    restorer = restorer_of(architecture("edsr", "dual-interactive", normalization={"mean": 0.5, "std": 0.5})).to(dtype)
    assert restorer(torch.rand(1, 3, 4, 5, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("encoder", "decoder", "size", "declared"),
    [
        ("edsr", "residual-conv", (10, 11), 4 + 1),
        ("edsr", "dual-interactive", (20, 22), 4 + 1),
        ("rdn", "pixel-shuffle", (20, 22), 7 + 2),
        ("pixel-unshuffle", "residual-conv", (10, 11), 9 + 1),
        ("recurrent", "residual-conv", (10, 11), 7 + 1),
    ],
)
def test_an_output_pixel_sees_as_far_as_declared(
    encoder: str, decoder: str, size: tuple[int, int], declared: int
) -> None:
    restorer = restorer_of(architecture(encoder, decoder))
    assert restorer.receptive_field == declared
    image = torch.rand(1, 3, 10, 11, dtype=torch.float64)
    far = farthest(lambda x: restorer(x, size=size), image)
    # A block of pixels that is folded together is seen whole or not at all.
    assert far == declared or (encoder == "pixel-unshuffle" and declared - 1 <= far <= declared)


def test_a_skip_sees_what_bicubic_interpolation_sees() -> None:
    spec = {"channels": 1, "encoder": "identity", "decoder": {"name": "dual-interactive", "hidden": [4]}}
    assert restorer_of(spec).receptive_field == 1
    restorer = restorer_of({**spec, "global_skip": "bicubic"})
    assert restorer.receptive_field == 2
    far = farthest(lambda x: restorer(x, size=(12, 14)), torch.rand(1, 1, 6, 7, dtype=torch.float64))
    assert far == 2


@pytest.mark.parametrize("skip", ["bicubic", "bilinear", "nearest"])
@pytest.mark.parametrize("size", [(5, 6), (9, 13), (3, 4)], ids=["same", "larger", "smaller"])
def test_a_skip_adds_the_image_as_it_is_named(skip: str, size: tuple[int, int]) -> None:
    restorer = restorer_of(architecture("edsr", "dual-interactive", global_skip=skip))
    without = restorer_of(architecture("edsr", "dual-interactive"))
    without.load_state_dict(restorer.state_dict())
    image = torch.rand(2, 3, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(restorer(image, size=size) - without(image, size=size), resized(image, size, skip))


def test_one_part_that_sees_everything_is_enough() -> None:
    whole = {"name": "wang-nonlocal", "neighborhood": {"kind": "whole"}}
    encoder = {"name": "nonlocal", "nonlocal": whole}
    assert restorer_of({"channels": 3, "encoder": encoder, "decoder": "residual-conv"}).receptive_field is None


# Sizes.


@given(
    height=st.integers(1, 200),
    width=st.integers(1, 200),
    scale=st.floats(1e-3, 20) | st.tuples(st.floats(1e-3, 20), st.floats(1e-3, 20)),
)
def test_a_size_is_the_scaled_one_with_halves_up_and_at_least_a_pixel(height: int, width: int, scale: Any) -> None:
    vertical, horizontal = scale if isinstance(scale, tuple) else (scale, scale)
    found = scaled_size(height, width, scale)
    for n, s, got in ((height, vertical, found[0]), (width, horizontal, found[1])):
        assert got >= 1
        assert got == 1 or got - 0.5 <= n * s < got + 0.5 + 1e-9


@pytest.mark.parametrize(
    ("scale", "size"),
    [(1, (5, 7)), (2, (10, 14)), (2.5, (13, 18)), (0.5, (3, 4)), (0.1, (1, 1)), (0.01, (1, 1)), ((1, 3), (5, 21))],
)
def test_scales_and_the_sizes_they_give(scale: Any, size: tuple[int, int]) -> None:
    restorer = toolbox.build(IMAGE)
    assert restorer.output_size(5, 7, scale=scale) == size
    assert restorer(torch.rand(1, 3, 5, 7), scale=scale).shape == (1, 3, *size)


@pytest.mark.parametrize("scale", [0, -1, 0.0, math.nan, math.inf, -math.inf, (2, 0), (math.nan, 2), (1, 2, 3), ()])
def test_a_scale_that_cannot_be_is_refused(scale: Any) -> None:
    with pytest.raises(SpecError, match=r"^got scale .*, expected a positive number or two of them$"):
        toolbox.build(IMAGE)(torch.rand(1, 3, 5, 7), scale=scale)


@pytest.mark.parametrize("size", [(0, 5), (-1, 5), (5,), (5, 6, 7), (5.0, 6), ("5", 6), ()])
def test_a_size_that_cannot_be_is_refused(size: Any) -> None:
    with pytest.raises(SpecError, match=r"^got size .*, expected \(height, width\), both positive integers$"):
        toolbox.build(IMAGE)(torch.rand(1, 3, 5, 7), size=size)


def test_a_size_and_a_scale_are_one_too_many() -> None:
    with pytest.raises(SpecError, match=r"^got size \(5, 7\) and scale 1, expected one of them$"):
        toolbox.build(IMAGE)(torch.rand(1, 3, 5, 7), size=(5, 7), scale=1)


@pytest.mark.parametrize(
    ("spec", "wish", "message"),
    [
        (
            SAME,
            {"scale": 2},
            "^got output size 10x14 for input 5x7, but decoder 'residual-conv' expected the size of the input; ",
        ),
        (SAME, {"size": (5, 8)}, "^got output size 5x8 for input 5x7, "),
        (DOUBLE, {"scale": 3}, "^got output size 15x21 for input 5x7, but decoder 'pixel-shuffle' expected scale 2; "),
        (DOUBLE, {"scale": 1}, "an implicit decoder takes any size$"),
        (DOUBLE, {"size": (10, 15)}, "^got output size 10x15 for input 5x7, "),
    ],
)
def test_a_size_that_the_decoder_does_not_take_is_refused(spec: Any, wish: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        toolbox.build(spec)(torch.rand(1, 3, 5, 7), **wish)


def test_a_size_that_the_decoder_takes_may_be_said() -> None:
    image = torch.rand(1, 3, 5, 7)
    assert toolbox.build(SAME).eval()(image, scale=1).shape == (1, 3, 5, 7)
    assert toolbox.build(DOUBLE).eval()(image, size=(10, 14)).shape == (1, 3, 10, 14)
    assert toolbox.build(DOUBLE).eval()(image).shape == (1, 3, 10, 14)


# Images.


@pytest.mark.parametrize(
    "image",
    [
        torch.rand(1, 1, 4, 5),
        torch.rand(1, 4, 4, 5),
        torch.rand(3, 4, 5),
        torch.rand(1, 1, 3, 4, 5),
        torch.zeros(1, 3, 4, 5, dtype=torch.uint8),
        torch.zeros(1, 3, 4, 5, dtype=torch.int64),
        torch.zeros(1, 3, 4, 5, dtype=torch.complex64),
    ],
    ids=["gray", "four-channels", "no-batch", "video", "uint8", "int64", "complex"],
)
def test_what_is_no_batch_of_images_is_refused(image: Tensor) -> None:
    with pytest.raises(SpecError, match=r"^got torch\.\w+ of shape \(.*\), expected a float tensor \(B, 3, H, W\)$"):
        toolbox.build(IMAGE)(image)


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (1, 3, 0, 5), (1, 3, 4, 0)])
def test_an_empty_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match=r"^got an empty image of shape \(.*\), expected at least one pixel$"):
        toolbox.build(IMAGE)(torch.rand(shape))


# Channels of the output.


def test_a_network_may_give_other_channels_than_it_takes() -> None:
    restorer = restorer_of({**SAME, "output_channels": 1, "normalization": {"mean": 0.5, "std": 2}})
    image = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    decoded = restorer.decoder(restorer.encoder((image - 0.5) / 2), (4, 5))
    assert decoded.shape == (2, 1, 4, 5)
    torch.testing.assert_close(restorer(image), decoded * 2 + 0.5)
    assert restorer.channels == 3


@pytest.mark.parametrize(
    "tie", [{"global_skip": "bicubic"}, {"normalization": {"mean": [0, 0, 0]}}, {"normalization": {"std": [1, 1, 1]}}]
)
def test_other_channels_are_refused_where_the_output_is_tied_to_the_image(tie: dict[str, Any]) -> None:
    with pytest.raises(
        SpecError, match=r"^output_channels: got 1, expected 3, since a global skip or a normalization "
    ):
        resolve({**SAME, "output_channels": 1, **tie})
    assert resolve({**SAME, "output_channels": 3, **tie}).decoded_channels == 3


# The module as a module.


NLRN = architecture("recurrent", "dual-interactive", global_skip="bicubic", normalization={"mean": 0.5, "std": 0.25})


def pickled(restorer: Restorer) -> Any:
    return pickle.loads(pickle.dumps(restorer))  # noqa: S301  # our own


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled], ids=["deepcopy", "pickle"])
def test_a_copy_is_the_same_and_apart(copied: Any) -> None:
    restorer = restorer_of(NLRN)
    image = torch.rand(1, 3, 5, 6, dtype=torch.float64)
    expected = restorer(image, scale=1.5)
    again = copied(restorer)
    assert isinstance(again, Restorer)
    assert again.spec == restorer.spec
    assert torch.equal(again(image, scale=1.5), expected)
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.zero_()
    assert torch.equal(restorer(image, scale=1.5), expected)


def test_weights_and_spec_are_all_there_is() -> None:
    restorer = restorer_of(NLRN)
    again = Restorer(resolve(restorer.spec)).double().eval()
    again.load_state_dict(restorer.state_dict())
    image = torch.rand(1, 3, 5, 6, dtype=torch.float64)
    assert torch.equal(again(image, scale=1.5), restorer(image, scale=1.5))


def test_the_normalization_is_in_the_spec_and_not_in_the_weights() -> None:
    assert not {"mean", "std"} & set(restorer_of(NLRN).state_dict())


def test_building_twice_from_one_seed_gives_the_same_weights() -> None:
    restorers = []
    for _ in range(2):
        torch.manual_seed(7)
        restorers.append(toolbox.build(NLRN))
    for name, tensor in restorers[0].state_dict().items():
        assert torch.equal(tensor, restorers[1].state_dict()[name]), name


def test_an_untrained_network_that_only_adds_begins_near_its_input() -> None:
    restorer = toolbox.build("nlrn", encoder={"steps": 2, "transition": {"channels": 4}}).eval()
    image = torch.rand(1, 1, 8, 8)
    assert (restorer(image) - image).abs().mean() < 0.1


# Building.


def test_building_by_name_by_mapping_by_file_and_by_spec(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("channels: 3\nencoder: identity\ndecoder: bicubic\n", encoding="utf-8")
    spec = toolbox.build(IMAGE).spec
    for source in (IMAGE, path, str(path), spec):
        assert toolbox.build(source).spec == spec
    assert toolbox.build("bicubic").spec.decoder == spec.decoder


def test_building_an_unknown_name_is_refused_with_close_ones() -> None:
    with pytest.raises(UnknownComponent, match=r"^unknown architecture 'bicubik'; did you mean 'bicubic'"):
        toolbox.build("bicubik")


def test_an_encoder_that_breaks_its_config_s_promise_is_found_out() -> None:
    class Wider(Identity):
        def __init__(self, config: Any, channels: int) -> None:
            super().__init__(config, channels)
            self.out_channels = channels + 1

    registries = installed_and(component("wider", factory=Wider))
    expected = r"^encoder 'wider' has 4 output channels, but its config promised 3; this is a fault of plugin stranger$"
    with pytest.raises(SpecError, match=expected):
        toolbox.build({**IMAGE, "encoder": "wider"}, registries=registries)


def test_restoring_learns() -> None:
    restorer = drawn(toolbox.build(SAME, global_skip="bicubic")).train()
    optimizer = torch.optim.Adam(restorer.parameters(), 1e-2)
    clean = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    losses = []
    for _ in range(15):
        loss = F.mse_loss(restorer(clean + 0.2), clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
