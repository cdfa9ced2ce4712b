"""NLSN, ENLCN, PANet, CSNLN and RNAN: their blocks, and the published outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from toolbox_nonlocal import nlsa, plain
from torch import Tensor

import toolbox
from tests.golden_encoders import assert_close, golden, with_buffers
from tests.learning import assert_learns
from tests.parts import encoder_of, reach
from tests.plugins import published_nonlocal as published
from toolbox.errors import SpecError, WeightsError
from toolbox.nonlocal_blocks import patches
from toolbox.resolve import resolve
from toolbox.testing.measure import drawn

# Goldens: name, hints, tolerance.
GOLDENS: dict[str, dict[str, Any]] = {
    "csnla_x2": {},
    "csnln_x2": {},
    "enlca": {},
    "nlsa_features": {"chunk": 16},
    "nlsa_two_chunks": {},
    "nlsn_x2": {"chunk": 16},
    "panet_denoise": {},
    "pyramid_attention": {},
    "rnan_denoise_gray": {"white": 1},
    "rnan_nonlocal": {},
}


@pytest.mark.parametrize("name", GOLDENS)
def test_every_output_equals_the_published_code_s(name: str) -> None:
    case = golden(name)
    restorer = toolbox.convert(with_buffers(case), **GOLDENS[name])
    image, tolerance = torch.from_numpy(case.input), 1e-4 if name == "rnan_denoise_gray" else 1e-5
    with torch.inference_mode():
        for key, expected in case.outputs.items():
            whole = key == "image" or restorer.spec.decoder.name in ("features", "exemplars")
            assert_close(restorer(image) if whole else restorer.encode(image), expected, tolerance)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("nlsn_x2", {"chunk": 32}),
        ("nlsn_x2", {"residual_scale": 1.0}),
        ("pyramid_attention", {"levels": 4}),
        ("panet_denoise", {"white": 2}),
        ("enlca", {"residual_scale": 1.0}),
        ("rnan_denoise_gray", {"white": 255}),
    ],
)
def test_another_hint_misses_the_golden(name: str, change: dict[str, Any]) -> None:
    case = golden(name)
    restorer = toolbox.convert(with_buffers(case), **{**GOLDENS[name], **change})
    (published_output,) = list(case.outputs.values())[-1:]
    with torch.inference_mode(), pytest.raises(AssertionError):
        assert_close(restorer(torch.from_numpy(case.input)), published_output, 1e-4)


# Sparse attention.


def block(name: str, channels: int = 3, **config: Any) -> Any:
    return encoder_of({"name": "nonlocal", "nonlocal": {"name": name, **config}}, channels).nonlocal_block


def assert_equal(result: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-9 * float(expected.detach().abs().max()))


@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 12), st.integers(1, 12)),
    chunk=st.integers(1, 20),
    rounds=st.integers(1, 3),
    pairs=st.sampled_from((1, 2**21)),
)
def test_sparse_attention_of_any_size_equals_the_plain_version(
    shape: tuple[int, int, int], chunk: int, rounds: int, pairs: int
) -> None:
    own = block("nlsa", chunk=chunk, rounds=rounds, embedding_channels=2)
    features = torch.randn(shape[0], 3, *shape[1:], dtype=torch.float64)
    with patch.object(nlsa, "PAIRS_AT_A_TIME", pairs):
        assert_equal(own(features)[0], plain.sparse_attention(own, features))


def test_fewer_pixels_than_a_chunk_all_see_each_other() -> None:
    own = block("nlsa", chunk=50, rounds=1, embedding_channels=2)
    features = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    embedded, values = (each(features).flatten(2) for each in (own.embed, own.value))
    weights = (embedded.mT @ F.normalize(embedded, dim=1, eps=5e-5)).softmax(2)
    assert_equal(own(features)[0], features + (values @ weights.mT).unflatten(2, (4, 5)))


def test_stored_rotations_give_one_result_and_drawn_ones_many() -> None:
    features = torch.randn(1, 3, 12, 12, dtype=torch.float64)
    stored, other = block("nlsa", chunk=8, embedding_channels=4), block("nlsa", chunk=8, embedding_channels=4, seed=1)
    drawn_anew = block("nlsa", chunk=8, embedding_channels=4, rotations="drawn")
    for each in (other, drawn_anew):
        each.load_state_dict({**stored.state_dict(), "rotations": each.rotations})
    with torch.no_grad():
        assert torch.equal(stored(features)[0], stored(features)[0])
        assert not torch.allclose(stored(features)[0], other(features)[0])
        assert not torch.allclose(drawn_anew(features)[0], drawn_anew(features)[0])
        torch.manual_seed(7)
        first = drawn_anew(features)[0]
        torch.manual_seed(7)
        assert torch.equal(drawn_anew(features)[0], first)


def test_rotations_are_those_of_the_seed_and_saved() -> None:
    one, other = (block("nlsa", embedding_channels=4, seed=seed) for seed in (3, 4))
    assert torch.equal(block("nlsa", embedding_channels=4, seed=3).rotations, one.rotations)
    assert not torch.equal(one.rotations, other.rotations)
    assert "rotations" in one.state_dict()


# Other blocks.


@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 14), st.integers(1, 14)),
    levels=st.integers(1, 9),
    pairs=st.sampled_from((1, 900, 2**20)),
)
def test_pyramid_attention_of_any_size_equals_the_plain_version(
    shape: tuple[int, int, int], levels: int, pairs: int
) -> None:
    own = block("pyramid", levels=levels, embedding_channels=2, scale=0.7)
    features = torch.randn(shape[0], 3, *shape[1:], dtype=torch.float64)
    with patch.object(patches, "PAIRS_AT_A_TIME", pairs), patch.object(patches, "NARROWEST", 2):
        assert_equal(own(features)[0], plain.pyramid_attention(own, features))


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("nlsa", {"chunk": 2, "embedding_channels": 2}),
        ("enlca", {"embedding_channels": 2}),
        ("pyramid", {"levels": 2, "embedding_channels": 2}),
        ("cross-scale", {}),
    ],
)
def test_a_block_sees_the_whole_image(name: str, config: dict[str, Any]) -> None:
    own = block(name, **config)
    assert resolve({"channels": 3, "encoder": {"name": "nonlocal", "nonlocal": {"name": name}}, "decoder": "features"})
    seen = reach(lambda features: own(features)[0], torch.randn(1, 3, 4, 4, dtype=torch.float64))
    assert len(seen) > 0.9 * 16 * 16


def test_random_features_are_orthogonal_in_groups() -> None:
    projection = block("enlca", embedding_channels=4).projection
    assert projection.shape == (128, 4)
    group = F.normalize(projection[:4].double(), dim=1)
    torch.testing.assert_close(group @ group.T, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-5)


def test_attention_across_scales_starts_as_the_identity() -> None:
    spec = {"channels": 3, "encoder": {"name": "nonlocal", "nonlocal": "cross-scale"}, "decoder": "features"}
    image = torch.rand(1, 3, 7, 6)
    assert torch.equal(toolbox.build(spec).encode(image), image)


@pytest.mark.parametrize("keys", [3, 1024])
@pytest.mark.parametrize("similarity", ["embedded-gaussian", "gaussian"])
def test_the_softmax_may_run_over_queries(similarity: str, keys: int) -> None:
    own = block("wang-nonlocal", similarity=similarity, inner_channels=2, softmax_over="queries")
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    theta, phi, g = (each(x).flatten(2) for each in (own.theta, own.phi, own.g))
    weights = torch.exp(theta.mT @ phi)  # queries × keys
    gathered = (g @ (weights / weights.sum(1, keepdim=True)).mT).unflatten(2, (4, 5))
    with patch("toolbox.nonlocal_blocks.wang.KEYS", keys):
        assert_equal(own(x)[0], x + own.projection(gathered))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"neighborhood": {"kind": "window", "size": 3}}, "got 'queries', expected keys for the neighborhood 'window'"),
        ({"similarity": "dot-product"}, "got 'queries', expected keys for the similarity 'dot-product', which has no"),
    ],
)
def test_a_softmax_over_queries_is_for_the_whole_image(settings: dict[str, Any], message: str) -> None:
    own = {"name": "wang-nonlocal", "softmax_over": "queries", **settings}
    with pytest.raises(SpecError, match=rf"^encoder\.nonlocal\.softmax_over: {message}"):
        resolve({"channels": 3, "encoder": {"name": "nonlocal", "nonlocal": own}, "decoder": "features"})


# Networks.

SIZES = {  # of the papers and the published code, without the 24 numbers of the mean shifts
    "csnln-x2": 3_061_289 - 24,
    "csnln-x3": 6_010_409 - 24,
    "csnln-x4": 6_568_627 - 24,
    "enlcn-x2": 41_223_067 - 24,
    "nlsn-x2": 41_796_187 - 24,
    "nlsn-x4": 44_156_507 - 24,
    "panet-denoise": 5_957_279 - 24,
    "rnan-denoise-gray": 8_957_249,
}


@pytest.mark.parametrize("name", SIZES)
def test_the_catalog_has_the_published_networks(name: str) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name)
    assert sum(parameter.numel() for parameter in restorer.parameters()) == SIZES[name]
    assert restorer.receptive_field is None


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_cell_equals_its_plain_version(scale: int) -> None:
    spec = {"channels": 3, "encoder": "identity", "decoder": {"name": "self-exemplars", "scale": scale, "steps": 2}}
    decoder = drawn(toolbox.build(spec)).decoder
    features = torch.randn(1, 3, 6, 12, dtype=torch.float64)
    size = 6 * scale, 12 * scale
    assert_equal(decoder(features, size), plain.self_exemplars(decoder, features, size))


@pytest.mark.parametrize(
    "make",
    [
        published.nlsn,
        published.enlcn,
        published.panet_sr,
        published.panet,
        published.csnln,
        published.rnan,
    ],
)
def test_a_small_one_learns(make: Callable[[], Any]) -> None:
    restorer = make().restorer
    assert_learns(restorer.spec, restorer.sizes if isinstance(restorer.sizes, int) else 1)


def test_attention_across_scales_learns_within_edsr() -> None:
    encoder = {"name": "edsr", "channels": 6, "blocks": 2, "nonlocal_after": [0], "nonlocal": "cross-scale"}
    assert_learns({"channels": 3, "encoder": encoder, "decoder": "conv"})


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_larger_copies_equal_the_plain_version(scale: int) -> None:
    spec = {"channels": 3, "encoder": "identity", "decoder": {"name": "exemplars", "scale": scale}}
    decoder = drawn(toolbox.build(spec)).decoder
    features = torch.randn(2, 3, 2 * scale, 3 * scale, dtype=torch.float64)
    size = 2 * scale**2, 3 * scale**2
    assert_equal(decoder(features, size), plain.exemplars(decoder, features, size))


def test_a_picture_is_enlarged_by_its_own_larger_copies() -> None:
    assert_learns("exemplars-x2", scale=2)


# Checkpoints.


def test_buffers_and_mean_shifts_of_published_files_are_no_weights() -> None:
    shift = published.trained_mean_shift() | {"sub_mean.weight": np.eye(3, dtype=np.float32)[:, :, None, None]}
    shift["sub_mean.bias"], shift["add_mean.bias"] = (
        sign * np.array([0.4488, 0.4371, 0.404], np.float32) for sign in (-1, 1)
    )
    escape = {"escape_NaN": np.array([1e-4], np.float32)}
    for make, prefix in (
        (published.panet, "body.2."),
        (published.panet_sr, "body.2."),
        (published.csnln, "SEM.multi_source_projection.up_attention."),
    ):
        case = make()
        with_them = case.arrays | shift | {f"{prefix}{name}": array for name, array in escape.items()}
        converted = toolbox.convert(with_them, **case.hints)
        assert converted.state_dict().keys() == case.restorer.state_dict().keys()
        used = make is not published.panet
        assert (converted.spec.normalization.mean == (0.4488, 0.4371, 0.404)) == used


def test_a_mean_shift_that_was_trained_along_is_kept() -> None:
    case, shift = published.rnan_sr(), published.trained_mean_shift()
    image = torch.rand(1, 3, 6, 8)

    def shifted(values: Tensor, name: str) -> Tensor:
        weight, bias = (torch.from_numpy(shift[f"{name}.{kind}"]) for kind in ("weight", "bias"))
        return F.conv2d(values, weight, bias)

    ours = case.restorer
    with torch.inference_mode():
        features = ours.encoder(shifted(255 * image, "sub_mean"))
        expected = shifted(ours.decoder(features, (12, 16)), "add_mean") / 255
        restored = toolbox.convert(case.arrays | shift)(image)
    torch.testing.assert_close(restored, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_slopes_that_differ_are_refused() -> None:
    case = published.panet()
    case.arrays["body.3.body.1.weight"] += 1
    with pytest.raises(WeightsError, match=r"as panet: 'body\.0\.body\.1\.weight' and the slopes of other blocks diff"):
        toolbox.convert(case.arrays, **case.hints)


@pytest.mark.parametrize(
    ("make", "lost", "message"),
    [
        (published.nlsn, "body.0.conv_assembly", r"as nlsn: missing body\.0\.conv_assembly\.0\.bias"),
        (published.enlcn, "body.0.conv_match1", r"as enlcn: missing 'body\.0\.conv_match1\.0\.weight'"),
        (published.panet, "body.4", r"as panet: missing 'body\.4\.weight'"),
        (published.csnln, "SEM.post_conv", r"as csnln: missing SEM\.post_conv\.0\.bias"),
        (published.rnan, "body_nl_high", r"as rnan: missing body_nl_high\."),
    ],
)
def test_half_of_a_network_is_refused(make: Callable[[], Any], lost: str, message: str) -> None:
    case = make()
    kept = {name: array for name, array in case.arrays.items() if not name.startswith(f"{lost}.")}
    with pytest.raises(WeightsError, match=message):
        toolbox.convert(kept, **case.hints)


def test_a_file_may_say_its_rotations() -> None:
    case = published.nlsn()
    rotations = np.random.default_rng(0).standard_normal((1, 3, 2, 5)).astype(np.float32)
    converted = toolbox.convert({**case.arrays, "body.0.lsh_rotations": rotations}, **case.hints)
    held = converted.state_dict()["encoder.nonlocal_blocks.first.rotations"]
    assert torch.equal(held[..., :5], torch.from_numpy(rotations[0]))
    assert held.shape == (3, 2, 64)
