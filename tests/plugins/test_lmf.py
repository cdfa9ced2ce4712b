"""LMF's decoders against the published algorithms, point by point, and against their published outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toolbox_lmf.windows import Windows
from torch import Tensor

import toolbox
from tests import plain_decoders, plain_ensembles
from tests.golden_decoders import assert_as_published, case_of
from tests.parts import decoder_of
from tests.plugins.published_lmf import lmf
from toolbox.decoders.coordinates import pixel_centers
from toolbox.decoders.corners import along
from toolbox.errors import SpecError, WeightsError
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest

Spec = dict[str, Any]

SMALL: Mapping[str, Spec] = {
    "modulated-attention": {"depth": 2, "code": 3, "attended": [5], "latent": [4]},
    "modulated-ensemble": {"depth": 3, "code": 2, "latent": [5, 4]},
    "modulated-texture": {"depth": 2, "frequencies": 3, "code_frequencies": 2, "latent": [4, 5]},
}
ORACLES: Mapping[str, Callable[..., Tensor]] = {
    "modulated-attention": plain_ensembles.lm_ciaosr,
    "modulated-ensemble": plain_ensembles.lm_liif,
    "modulated-texture": plain_ensembles.lm_lte,
}
each = pytest.mark.parametrize("name", SMALL)


def modulated(name: str, features: int = 3, **config: Any) -> Any:
    """A decoder in float32, as published, without a clipped cell."""
    settings = {"name": name, "width": 4, "largest_scale": None, **SMALL[name], **config}
    return decoder_of(settings, features).float()


def published(decoder: Any, name: str, features: Tensor, size: tuple[int, int], cell: tuple[float, float]) -> Tensor:
    """The published algorithm at a grid's pixel centers, as an image."""
    points = plain_decoders.make_coord(size)
    return ORACLES[name](decoder, features, points, cell).transpose(1, 2).unflatten(2, size)


def assert_equal(result: Tensor, expected: Tensor) -> None:
    assert result.shape == expected.shape
    assert (result - expected).abs().max() <= 1e-4 * expected.abs().max()


@given(
    name=st.sampled_from(sorted(SMALL)),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    depth=st.integers(1, 3),
    slots=st.sampled_from((1, 100, 16384)),
    widest=st.sampled_from((0, 20, 1024)),
)
def test_random_sizes_equal_the_published_algorithm(
    name: str, shape: tuple[int, int], size: tuple[int, int], depth: int, slots: int, widest: int
) -> None:
    decoder = modulated(name, depth=depth)
    features = torch.randn(2, 3, *shape)
    expected = published(decoder, name, features, size, plain_decoders.cell_of(size))
    decoder.slots, decoder.widest = slots, widest
    assert_equal(decoder(features, size), expected)


@each
def test_any_point_equals_the_published_algorithm(name: str) -> None:
    decoder = modulated(name)
    features = torch.randn(2, 3, 5, 6)
    points = 2 * torch.rand(60, 2) - 1
    for cell in ((0.1, 0.07), (1.0, 2.0)):
        # A point that is nearly a center of the cell's grid is taken for it: keep away from those.
        phase = (points + 1) / 2 * (2 / torch.tensor(cell)).round() % 1
        apart = points[((phase - 0.5).abs() > 0.01).all(1)]
        assert len(apart) > 30
        assert_equal(decoder.query(features, apart, cell), ORACLES[name](decoder, features, apart, cell))


def test_the_features_themselves_may_be_the_code() -> None:
    decoder = modulated("modulated-ensemble", code=None)
    features = torch.randn(2, 3, 5, 4)
    expected = published(decoder, "modulated-ensemble", features, (11, 8), (2 / 11, 2 / 8))
    assert_equal(decoder(features, (11, 8)), expected)


@pytest.mark.parametrize(("size", "excess"), [((20, 24), 1.0), ((30, 24), 1.5), ((40, 100), 2.0), ((20, 60), 1.0)])
@each
def test_beyond_the_largest_scale_the_cell_is_that_of_this_scale(
    name: str, size: tuple[int, int], excess: float
) -> None:
    decoder = modulated(name, largest_scale=4)
    features = torch.randn(1, 3, 5, 6)
    cell = excess * 2 / size[0], excess * 2 / size[1]  # both axes by the vertical scale
    assert_equal(decoder(features, size), published(decoder, name, features, size, cell))


# Windows.


@given(outputs=st.integers(1, 90), features=st.integers(1, 30))
def test_every_output_pixel_is_in_the_windows_of_its_two_feature_pixels(outputs: int, features: int) -> None:
    windows = Windows.of(outputs, features)
    corners = along(pixel_centers(outputs, torch.device("cpu")), outputs, features, (-1, 1))
    for (pixel, offset), found, slot in zip(corners, windows.pixels, windows.slots, strict=True):
        assert found.tolist() == pixel.tolist()
        assert windows.offsets[found, slot].tolist() == offset.tolist()
    inside = windows.slots >= 0
    assert inside.all()
    assert windows.width == windows.slots.max() + 1


@pytest.mark.parametrize(("scale", "width"), [(1, 2), (2, 4), (3, 6), (4, 8), (7, 14)])
def test_a_window_of_a_whole_scale_is_twice_as_wide(scale: int, width: int) -> None:
    assert Windows.of(scale * 20, 20).width == width


# Attention across scales, in crops.


def test_larger_features_are_attended_in_crops() -> None:
    decoder = modulated("modulated-attention", crop=4).double()
    features = torch.randn(1, 3, 6, 13, dtype=torch.float64)  # crops of 6 rows and 4, 4 and 5 columns
    assert decoder.config.receptive_field() is None
    before = decoder(features, (12, 26))
    features[..., 12] += 1
    # The last crop begins at column 8; a pixel around it, half a pixel of interpolation and a 3×3 neighborhood.
    moved = ((decoder(features, (12, 26)) - before).abs() > 1e-9).any(1).nonzero()[:, 2]
    assert moved.min() // 2 in (6, 7)
    whole = modulated("modulated-attention", crop=None).double()
    whole.load_state_dict(decoder.state_dict())
    assert not torch.allclose(whole(features, (12, 26)), decoder(features, (12, 26)))


def test_smaller_features_are_attended_whole() -> None:
    decoder, whole = modulated("modulated-attention", crop=4), modulated("modulated-attention", crop=None)
    whole.load_state_dict(decoder.state_dict())
    features = torch.randn(1, 3, 2, 8)  # not above 4² pixels
    assert torch.equal(decoder(features, (4, 16)), whole(features, (4, 16)))


@pytest.mark.parametrize("name", ["modulated-ensemble", "modulated-texture"])
def test_a_pixel_sees_as_far_as_declared(name: str) -> None:
    decoder = modulated(name).double()
    assert decoder.config.receptive_field() == 2
    for size in ((14, 16), (10, 21)):
        far = farthest(lambda x, to=size: decoder(x, to), torch.randn(1, 3, 7, 8, dtype=torch.float64))  # type: ignore[misc]
        assert far == 2


# The published networks.

SIZES = {
    "lm-liif": (1_386_091 - 24, 165_651),  # EDSR's file has 24 numbers more, of a mean shift that is not used
    "lm-lte": (1_490_907 - 24, 270_467),
    "lm-ciaosr": (1_955_438 - 24, 734_998),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_catalog_has_the_published_networks(name: str) -> None:
    with torch.device("meta"):
        restorer, rdn = toolbox.build(name), toolbox.build(f"{name}-rdn")
    whole, decoder = SIZES[name]
    assert sum(p.numel() for p in restorer.parameters()) == whole
    assert sum(p.numel() for p in restorer.decoder.parameters()) == decoder
    assert sum(p.numel() for p in rdn.parameters()) == decoder + 21_973_952
    assert restorer.spec.global_skip == ("none" if name == "lm-liif" else "bilinear")


@pytest.mark.parametrize(
    ("name", "tolerance"), [("lm_liif_edsr", 2e-5), ("lm_lte_edsr", 2e-5), ("lm_ciaosr_edsr", 5e-5)]
)
def test_every_output_equals_the_published_code_s(name: str, tolerance: float) -> None:
    assert_as_published(name, tolerance)


@each
def test_a_published_file_becomes_the_same_network(name: str) -> None:
    stored = lmf({"name": name, "width": 4, **SMALL[name]})
    image = torch.rand(1, 3, 5, 6)
    converted = toolbox.convert(stored.arrays)
    assert converted.spec.decoder == stored.restorer.spec.decoder
    torch.testing.assert_close(converted(image, scale=2.5), stored.restorer(image, scale=2.5))


def test_a_published_file_without_a_code_becomes_the_same_network() -> None:
    stored = lmf({"name": "modulated-ensemble", "width": 4, "depth": 2, "code": None, "latent": [5]})
    assert toolbox.convert(stored.arrays).spec.decoder == stored.restorer.spec.decoder


@pytest.mark.parametrize("scales", [(3,), (2, 3), (4,), (3, 4), (2, 3, 4)])
def test_the_scales_of_attention_are_told_by_what_there_is(scales: tuple[int, ...]) -> None:
    stored = lmf({"name": "modulated-attention", "width": 4, **SMALL["modulated-attention"], "scales": scales})
    names = {2: "down", 3: "downx3", 4: "downx4"}
    arrays = {key: value for key, value in stored.arrays.items() if not key.startswith("cs_attn.down")}
    for kind in ("weight", "bias"):
        for layer, scale in zip(stored.restorer.decoder.across.shrink, scales, strict=True):
            arrays[f"cs_attn.{names[scale]}.{kind}"] = getattr(layer, kind).detach().numpy()
        # There whether it is used or not:
        arrays.setdefault(f"cs_attn.down.{kind}", np.zeros_like(arrays[f"cs_attn.{names[scales[-1]]}.{kind}"]))
    converted = toolbox.convert(arrays)
    assert converted.spec.decoder.config.scales == scales
    image = torch.rand(1, 3, 5, 6)
    torch.testing.assert_close(converted(image, scale=2), stored.restorer(image, scale=2))


def test_frequencies_in_the_other_order_miss_the_published_output() -> None:
    case = case_of("lm_lte_edsr")
    weights = case.weights()
    swapped = weights | {f"freq.{kind}": weights[f"freq.{kind}"][::-1].copy() for kind in ("weight", "bias")}
    image = torch.from_numpy(case.input) / 2 + 0.5
    ours, other = (toolbox.convert(each)(image, scale=2) for each in (weights, swapped))
    assert (ours - other).abs().max() > 1e-3


def test_the_hint_says_how_large_a_scale_the_cell_follows() -> None:
    weights = lmf().arrays
    assert toolbox.convert(weights).spec.decoder.config.largest_scale == 4
    assert toolbox.convert(weights, largest_scale=None).spec.decoder.config.largest_scale is None
    with pytest.raises(SpecError, match=r"^hints for lmf: largest_scale: got 0, expected greater than 0$"):
        toolbox.convert(weights, largest_scale=0)


def test_a_file_without_a_render_network_is_refused() -> None:
    weights = {name: value for name, value in lmf().arrays.items() if "imnet.layers.2" not in name}
    with pytest.raises(WeightsError, match=r"missing 'imnet\.layers\.2\.weight', which says what the rest "):
        toolbox.convert(weights)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("modulated-ensemble", {"width": 0}, r"^decoder\.width: got 0, expected greater than 0"),
        ("modulated-ensemble", {"latent": []}, r"^decoder\.latent: got "),
        ("modulated-texture", {"code_frequencies": 0}, r"^decoder\.code_frequencies: got 0, expected greater than 0"),
        ("modulated-attention", {"crop": 1}, r"^decoder\.crop: got 1, expected greater than 1"),
        ("modulated-attention", {"scales": [1]}, r"^decoder\.scales\.0: got 1, expected greater than or equal to 2"),
    ],
)
def test_settings_that_cannot_be_are_refused(name: str, settings: Spec, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 1, "encoder": "edsr", "decoder": {"name": name, **settings}})
