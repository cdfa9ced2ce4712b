"""CiaoSR's decoder against the published algorithm, point by point, and against its published outputs."""

from __future__ import annotations

import dataclasses
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from toolbox_ciaosr.plain import implicit_attention as published
from torch import Tensor

import toolbox
from tests.golden_decoders import FOLDER, case_of
from tests.parts import decoder_of, restorer_of
from tests.plugins.published_ciaosr import ciaosr
from tests.shared import reference
from toolbox.decoders.coordinates import pixel_centers
from toolbox.discovery import installed
from toolbox.errors import SpecError, WeightsError
from toolbox.evaluation.cases import Sample
from toolbox.evaluation.protocols import describe
from toolbox.evaluation.scoring import score_picture
from toolbox.imresize import imresize
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest

CASES = ["ciaosr_edsr", "ciaosr_local_edsr"]
MEAN = torch.tensor([0.4488, 0.4371, 0.404]).view(1, 3, 1, 1)
sides = st.integers(1, 8)


def implicit_attention(features: int = 2, **config: Any) -> Any:
    """CiaoSR's decoder in float64."""
    return decoder_of({"name": "implicit-attention", "hidden": [5, 6], **config}, features)


def assert_equal(result: Tensor, expected: Tensor) -> None:
    assert result.shape == expected.shape
    assert (result - expected).abs().max() <= 1e-9 * expected.abs().max()


@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 3), sides, sides),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    hidden=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    across=st.sampled_from(((), (2,), (3, 2))),
    neighbors=st.integers(1, 3),
    at_a_time=st.sampled_from(((20, 12), (1024, 8192))),
)
def test_random_sizes_equal_the_published_algorithm(
    shape: tuple[int, int, int, int],
    size: tuple[int, int],
    hidden: list[int],
    across: tuple[int, ...],
    neighbors: int,
    at_a_time: tuple[int, int],
) -> None:
    decoder = implicit_attention(shape[1], hidden=hidden, across=across, neighbors=neighbors, softness=1.7)
    features = torch.randn(shape, dtype=torch.float64)
    decoder.chunk, decoder.band = at_a_time
    assert_equal(decoder(features, size), published(decoder, features, size))


@settings(max_examples=60)
@given(shape=st.tuples(sides, sides), size=st.tuples(st.integers(1, 20), st.integers(1, 20)))
def test_a_grid_is_its_points(shape: tuple[int, int], size: tuple[int, int]) -> None:
    decoder, features = implicit_attention(), torch.randn(1, 2, *shape, dtype=torch.float64)
    y, x = (pixel_centers(count, features.device) for count in size)
    points = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).flatten(0, 1)
    values = decoder.query(features, points, (2 / size[0], 2 / size[1]))
    assert_equal(values.mT.unflatten(2, size), decoder(features, size))


def at_a_point(decoder: Any, features: Tensor, point: list[float], cell: tuple[float, float]) -> Tensor:
    """The color of one point, neighbor by neighbor: features (1, C, H, W) → (channels,)."""
    shape = features.shape[2:]
    seen = F.unfold(features, 3, padding=1)[0].unflatten(1, shape)
    value = torch.cat((seen, decoder.across(features)[0]))

    def nearest(axis: int, shift: float) -> int:
        moved = min(max(point[axis] + shift, -1), 1)
        return min(int((moved + 1) / 2 * shape[axis]), shape[axis] - 1)

    def network(network: Any, content: Tensor, place: Tensor) -> Tensor:
        state = network.layers(network.content(content) + network.position(place))
        return network.output(state)

    query = seen[:, nearest(0, 0), nearest(1, 0)]
    scores, values = [], []
    for down, right in product((-1, 1), (-1, 1)):
        own = [
            nearest(axis, sign * (1 - cell[axis]) / (shape[axis] - 1) + 1e-6) for axis, sign in enumerate((down, right))
        ]
        centers = [(2 * pixel + 1) / count - 1 for pixel, count in zip(own, shape, strict=True)]
        offsets = [(place - center) * count for place, center, count in zip(point, centers, shape, strict=True)]
        place = torch.tensor([*offsets, cell[0] * shape[0], cell[1] * shape[1]], dtype=torch.float64)
        key = seen[:, own[0], own[1]]
        scores.append((query * key * network(decoder.key, key, place)).sum())
        values.append(value[:, own[0], own[1]] * network(decoder.value, value[:, own[0], own[1]], place))
    shares = torch.stack(scores).softmax(0)
    return decoder.colors((torch.stack(values) * shares[:, None]).sum(0))


@pytest.mark.parametrize("cell", [(0.1, 0.07), (0.4, 0.9), (1.7, 0.3)], ids=str)
def test_any_point_equals_the_published_algorithm(cell: tuple[float, float]) -> None:
    decoder, features = implicit_attention(), torch.randn(1, 2, 5, 6, dtype=torch.float64)
    points = 2 * torch.rand(40, 2, dtype=torch.float64) - 1
    expected = torch.stack([at_a_point(decoder, features, point, cell) for point in points.tolist()])
    difference = (decoder.query(features, points, cell)[0] - expected).abs().max()
    assert difference <= 1e-5 * expected.abs().max()  # offsets are found in float32


@pytest.mark.parametrize("cell", [(0.3, 0.3), (5.0, 40.0)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (2, 3)], ids=str)
def test_any_cell_is_answered_on_any_features(shape: tuple[int, int], cell: tuple[float, float]) -> None:
    features = torch.randn(1, 2, *shape, dtype=torch.float64)
    corners = torch.tensor([[-1, -1], [-1, 1], [0, 0], [1, -1], [1, 1]], dtype=torch.float64)
    assert implicit_attention().query(features, corners, cell).isfinite().all()


@pytest.mark.parametrize(("neighbors", "expected"), [(1, 1), (2, 2), (3, 2)])
def test_without_attention_across_scales_a_pixel_sees_as_far_as_declared(neighbors: int, expected: int) -> None:
    decoder = implicit_attention(across=(), neighbors=neighbors)
    assert decoder.config.receptive_field() == expected
    for size in ((14, 16), (10, 21), (40, 9)):
        image = torch.randn(1, 2, 7, 8, dtype=torch.float64)
        assert farthest(lambda x, to=size: decoder(x, to), image) <= expected  # type: ignore[misc]
    assert farthest(lambda x: decoder(x, (14, 16)), image) == expected


@pytest.mark.parametrize("name", CASES)
def test_every_output_equals_the_published_code_s(name: str) -> None:
    case = case_of(name)
    restorer = toolbox.convert(case.weights())
    image = torch.from_numpy(case.input) + MEAN
    for key, expected in case.outputs.items():
        height, width = map(int, key.split("x"))
        with torch.inference_mode():
            ours = restorer(image, size=(height, width)) - MEAN
        assert np.abs(ours.numpy() - expected).max() <= 2e-5 * np.abs(expected).max(), key


@pytest.mark.parametrize("name", ["ciaosr_edsr", "lm_ciaosr_edsr"])
def test_attention_across_scales_gathers_what_the_published_code_s_does(name: str) -> None:
    case = case_of(name)
    restorer, image = toolbox.convert(case.weights()), torch.from_numpy(case.input)
    with np.load(reference(FOLDER, f"{name}.npz")) as stored, torch.inference_mode():
        expected = stored["mid_nonlocal"]
        gathered = restorer.decoder.across(restorer.encode(image * restorer.std + restorer.mean))
    assert np.abs(gathered.numpy() - expected).max() <= 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize(("name", "expected"), [("ciaosr", 2_649_030), ("ciaosr-rdn", 23_402_566)])
def test_the_catalog_has_the_published_networks(name: str, expected: int) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name)
    assert sum(p.numel() for p in restorer.parameters()) == expected
    assert sum(p.numel() for p in restorer.decoder.parameters()) == 1_428_614
    assert restorer.spec.global_skip == "bilinear"
    assert restorer.receptive_field is None


@pytest.mark.parametrize("encoder", ["edsr", "rdn"])
@pytest.mark.parametrize("across", [(), (2,), (3,), (2, 4)], ids=str)
@pytest.mark.parametrize("root", ["", "generator."])
def test_a_state_dict_becomes_the_network_that_it_was(encoder: str, across: tuple[int, ...], root: str) -> None:
    stored = ciaosr(encoder, across)
    image = torch.rand(1, 3, 5, 6)
    converted = toolbox.convert({root + name: array for name, array in stored.arrays.items()})
    torch.testing.assert_close(converted(image, scale=2.5), stored.restorer(image, scale=2.5))


def test_hints_tell_what_a_state_dict_cannot() -> None:
    stored = ciaosr("edsr", (2,))
    assert toolbox.convert(stored.arrays).spec.decoder.config.neighbors == 2
    hinted = toolbox.convert(stored.arrays, neighbors=3, softness=2.0).spec.decoder.config
    assert (hinted.neighbors, hinted.softness) == (3, 2.0)


@pytest.mark.parametrize(
    ("without", "message"),
    [
        ("imnet_q.layers.2", r"missing 'imnet_q\.layers\.2\.weight', which says what the rest of the network is"),
        ("conv_first", r"its encoder is neither EDSR \(conv_first\.weight\) nor RDN \(sfe1\.weight\)"),
        ("cs_attn.down", r"'cs_attn\.' has convolutions for scales \[\], expected 1 of them"),
    ],
)
def test_a_checkpoint_without_a_part_is_refused(without: str, message: str) -> None:
    arrays = {name: array for name, array in ciaosr("edsr", (2,)).arrays.items() if not name.startswith(without)}
    with pytest.raises(WeightsError, match=message):
        toolbox.convert(arrays)


def test_a_first_layer_of_another_width_is_refused() -> None:
    arrays = ciaosr("edsr", (2,)).arrays
    arrays["imnet_q.layers.0.weight"] = arrays["imnet_q.layers.0.weight"][:, :-1]
    with pytest.raises(WeightsError, match=r"takes 39 channels, expected 36 and 4 for each scale of the attention"):
        toolbox.convert(arrays)


def test_the_licence_of_the_authors_weights_is_told() -> None:
    assert "not for commercial use" in installed().converters["ciaosr"].summary


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": []}, r"^decoder\.hidden: got "),
        ({"across": [5]}, r"^decoder\.across\.0: got 5, expected 2, 3 or 4"),
        ({"neighbors": 4}, r"^decoder\.neighbors: got 4, expected 1, 2 or 3"),
        ({"softness": 0}, r"^decoder\.softness: got 0, expected greater than 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 1, "encoder": "edsr", "decoder": {"name": "implicit-attention", **settings}})


def test_its_protocol_restores_each_tile_by_itself() -> None:
    protocol = installed().protocols["ciaosr-tiles"]
    assert protocol.patches == (192, 192 - 32)
    assert describe(protocol)["run"] == "patches of 192x192 at stride 160, averaged"
    decoder = {"name": "implicit-attention", "hidden": [4]}
    restorer = restorer_of({"channels": 3, "encoder": {"name": "edsr", "channels": 2, "blocks": 1}, "decoder": decoder})
    original = torch.rand(1, 3, 24, 30)
    sample = Sample(original, imresize(original, size=(12, 15)), 2.0, ())
    small = dataclasses.replace(protocol, patches=(8, 5))
    _, restored = score_picture(restorer.float(), "0.png", sample, small)
    tile = restorer(sample.degraded[..., :8, :8], scale=2).clamp(0, 1)
    torch.testing.assert_close(restored[..., :8, :10], tile[..., :8, :10].detach())  # where no other tile is
