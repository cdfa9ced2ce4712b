"""DIINN's decoder against the paper's network at output resolution."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import toolbox
from tests import plain
from tests.parts import decoder_of
from toolbox.errors import SpecError
from toolbox.resolve import resolve
from toolbox.testing.measure import drawn, farthest

INPUTS = ("modulation", "modulation+content", "synthesis+content")


def dual_interactive(features: int = 3, **config: Any) -> Any:
    return decoder_of({"name": "dual-interactive", "hidden": [4, 6, 5], **config}, features)


@given(
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    size=st.tuples(st.integers(2, 17), st.integers(2, 17)),
    modulation_input=st.sampled_from(INPUTS),
    initial_synthesis=st.booleans(),
    output_kernel=st.sampled_from((1, 3)),
    hidden=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    chunk=st.sampled_from((1, 40, 16384)),
)
def test_every_variant_equals_the_plain_one(
    height: int,
    width: int,
    size: tuple[int, int],
    modulation_input: str,
    initial_synthesis: bool,
    output_kernel: int,
    hidden: list[int],
    chunk: int,
) -> None:
    decoder = dual_interactive(
        hidden=hidden,
        modulation_input=modulation_input,
        initial_synthesis=initial_synthesis,
        output_kernel=output_kernel,
    )
    features = torch.randn(2, 3, height, width, dtype=torch.float64)
    decoder.chunk = chunk
    torch.testing.assert_close(decoder(features, size), plain.dual_interactive(decoder, features, size))


@pytest.mark.parametrize("modulation_input", INPUTS)
@pytest.mark.parametrize("initial_synthesis", [False, True])
@pytest.mark.parametrize("output_kernel", [1, 3])
@pytest.mark.parametrize("size", [(4, 5), (8, 10), (41, 9), (2, 3)], ids=["same", "double", "any", "smaller"])
def test_each_ablation_equals_the_plain_one(
    modulation_input: str, initial_synthesis: bool, output_kernel: int, size: tuple[int, int]
) -> None:
    decoder = dual_interactive(
        modulation_input=modulation_input, initial_synthesis=initial_synthesis, output_kernel=output_kernel
    )
    features = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(decoder(features, size), plain.dual_interactive(decoder, features, size))


@pytest.mark.parametrize("initial_synthesis", [False, True])
def test_one_output_pixel_of_one_feature_pixel(initial_synthesis: bool) -> None:
    decoder = dual_interactive(initial_synthesis=initial_synthesis)
    features = torch.randn(2, 3, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(decoder(features, (1, 1)), plain.dual_interactive(decoder, features, (1, 1)))


def test_features_need_not_be_contiguous() -> None:
    decoder = dual_interactive()
    features = torch.randn(2, 4, 5, 3, dtype=torch.float64).permute(0, 3, 1, 2)
    assert not features.is_contiguous()
    torch.testing.assert_close(decoder(features, (7, 8)), decoder(features.contiguous(), (7, 8)))


def test_single_precision_is_close_to_double() -> None:
    decoder = dual_interactive()
    features = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    expected = decoder(features, (9, 11))
    single = decoder.float()(features.float(), (9, 11))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kernel", "declared"), [(1, 1), (3, 2)])
def test_a_pixel_sees_as_far_as_declared(kernel: int, declared: int) -> None:
    decoder = dual_interactive(output_kernel=kernel)
    assert decoder.config.receptive_field() == declared
    for size in ((14, 16), (10, 21)):
        far = farthest(lambda x, to=size: decoder(x, to), torch.randn(1, 3, 7, 8, dtype=torch.float64))  # type: ignore[misc]
        assert far == declared


def test_gradients_are_those_of_the_numbers() -> None:
    decoder = dual_interactive(features=1, hidden=[2, 2])
    features = torch.randn(1, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: decoder(x, (3, 5)), (features,))


def test_the_published_decoder_is_the_final_model_of_the_paper() -> None:
    spec = resolve("diinn")
    config = spec.decoder.config
    assert (config.modulation_input, config.initial_synthesis, config.output_kernel) == ("synthesis+content", False, 1)
    assert config.hidden == (256, 256, 256, 256)
    assert spec.encoder.config.model_dump() == {"channels": 64, "blocks": 16, "layers": 8, "growth": 64}


def test_the_published_network_sees_minus_one_to_one() -> None:
    restorer = drawn(toolbox.build("diinn", encoder={"channels": 4, "blocks": 1, "layers": 1, "growth": 2}))
    image = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    features = plain.rdn(restorer.encoder, 2 * image - 1)
    expected = plain.dual_interactive(restorer.decoder, features, (8, 10)) / 2 + 0.5
    torch.testing.assert_close(restorer(image, scale=2), expected)


def test_the_decoder_has_one_weight_for_each_of_the_paper_s_connections() -> None:
    with torch.device("meta"):
        decoder = resolve("diinn").decoder.build(features=64, channels=3)
    content, wide = 9 * 64, 256
    modulation = (content * wide + wide) + 3 * ((wide + content) * wide + wide)
    synthesis = (3 * wide + wide) + 3 * (wide * wide + wide)
    assert sum(p.numel() for p in decoder.parameters()) == modulation + synthesis + wide * 3 + 3


@pytest.mark.parametrize("hidden", [[], 256, ["wide"]])
def test_layers_that_cannot_be_are_refused(hidden: Any) -> None:
    with pytest.raises(SpecError, match=r"^decoder\.hidden(\.0)?: got "):
        resolve({"channels": 1, "encoder": "edsr", "decoder": {"name": "dual-interactive", "hidden": hidden}})


def test_an_unknown_modulation_input_is_refused_with_the_known_ones() -> None:
    decoder = {"name": "dual-interactive", "modulation_input": "content"}
    expected = r"'modulation', 'modulation\+content' or 'synthesis\+content'$"
    with pytest.raises(SpecError, match=rf"^decoder\.modulation_input: got 'content', expected {expected}"):
        resolve({"channels": 1, "encoder": "edsr", "decoder": decoder})
