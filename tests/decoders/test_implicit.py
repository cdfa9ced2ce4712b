"""What holds for every implicit decoder: grid and query are the same function of position."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.parts import COMPONENTS, decoder_of
from toolbox.decoders.coordinates import pixel_centers
from toolbox.decoders.implicit import ImplicitDecoder
from toolbox.errors import SpecError

Spec = dict[str, Any]

SWITCHES = ("feature_unfolding", "local_ensemble", "cell_decoding")
VARIANTS: list[Spec] = [
    *(
        {
            "name": "dual-interactive",
            "hidden": [4, 5],
            "modulation_input": taken,
            "initial_synthesis": initial,
            **kernel,
        }
        for taken in ("modulation", "modulation+content", "synthesis+content")
        for initial in (False, True)
        for kernel in ({}, {"output_kernel": 3})
    ),
    *(
        {"name": "local-ensemble", "hidden": [4, 5], **dict(zip(SWITCHES, values, strict=True))}
        for values in product((True, False), repeat=3)
    ),
    *(
        {"name": info.name, **info.example}
        for info in COMPONENTS
        if isinstance(info.factory, type) and issubclass(info.factory, ImplicitDecoder)
        if info.name not in ("dual-interactive", "local-ensemble")
    ),
]
variant = pytest.mark.parametrize("spec", VARIANTS, ids=lambda spec: "-".join(map(str, spec.values())))

# Feature size → output size: whole scales, ties between pixels, odd and even, one axis each, smaller, single pixels.
SIZES = [
    ((4, 5), (8, 10)),
    ((4, 5), (12, 15)),
    ((14, 14), (37, 37)),
    ((6, 3), (9, 5)),
    ((5, 4), (5, 13)),
    ((9, 8), (4, 3)),
    ((8, 6), (4, 3)),
    ((4, 5), (1, 1)),
    ((1, 1), (1, 1)),
    ((1, 1), (5, 4)),
    ((1, 6), (3, 1)),
]


def centers(size: tuple[int, int]) -> Tensor:
    """(H'·W', 2): the centers of a grid's pixels, (y, x), in float64."""
    return torch.cartesian_prod(*(pixel_centers(n, torch.device("cpu")) for n in size))


def cell_of(size: tuple[int, int]) -> tuple[float, float]:
    return 2 / size[0], 2 / size[1]


def as_points(image: Tensor) -> Tensor:
    """(B, C, H, W) → (B, H·W, C)."""
    return image.flatten(2).transpose(1, 2)


@pytest.mark.parametrize("exactness", [torch.float32, torch.float64], ids=str)
@variant
def test_a_query_at_the_centers_of_a_grid_is_the_grid(spec: Spec, exactness: torch.dtype) -> None:
    decoder = decoder_of(spec, features=3)
    for shape, size in SIZES:
        features = torch.randn(2, 3, *shape, dtype=torch.float64)
        grid = as_points(decoder(features, size))
        points = centers(size).to(exactness)
        cell = cell_of(size)
        shared = decoder.query(features, points, cell)
        assert shared.shape == (2, len(points), 2)
        torch.testing.assert_close(shared, grid, atol=1e-5, rtol=1e-5, msg=lambda text: f"{shape} to {size}: {text}")  # noqa: B023
        as_tensor = decoder.query(features, points, torch.tensor(cell, dtype=exactness))
        torch.testing.assert_close(as_tensor, shared, atol=1e-5, rtol=1e-5)


@variant
def test_each_image_may_have_points_of_its_own(spec: Spec) -> None:
    decoder = decoder_of(spec, features=3)
    features = torch.randn(3, 3, 4, 6, dtype=torch.float64)
    size = (9, 11)
    grid = as_points(decoder(features, size))
    order = torch.stack([torch.randperm(99) for _ in range(3)])
    points = centers(size)[order]
    expected = torch.stack([image[own] for image, own in zip(grid, order, strict=True)])
    queried = decoder.query(features, points, cell_of(size))
    torch.testing.assert_close(queried, expected, atol=1e-5, rtol=1e-5)
    single = decoder.float().query(features.float(), points.float(), cell_of(size))
    torch.testing.assert_close(single.double(), expected, atol=1e-4, rtol=1e-4)


@given(
    spec=st.sampled_from(VARIANTS),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    size=st.tuples(st.integers(1, 19), st.integers(1, 19)),
    chunk=st.sampled_from((1, 30, 16384)),
)
def test_any_grid_can_be_queried(spec: Spec, shape: tuple[int, int], size: tuple[int, int], chunk: int) -> None:
    decoder = decoder_of(spec, features=3)
    features = torch.randn(2, 3, *shape, dtype=torch.float64)
    grid = as_points(decoder(features, size))
    decoder.chunk = chunk
    queried = decoder.query(features, centers(size), cell_of(size))
    torch.testing.assert_close(queried, grid, atol=1e-5, rtol=1e-5)


@variant
def test_a_point_has_its_value_whatever_else_is_asked(spec: Spec) -> None:
    decoder = decoder_of(spec, features=3)
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    points = 2 * torch.rand(13, 2, dtype=torch.float64) - 1
    together = decoder.query(features, points, (0.21, 0.13))
    for i in range(2):
        for j in (0, 5, 12):
            alone = decoder.query(features[i : i + 1], points[j : j + 1], (0.21, 0.13))
            torch.testing.assert_close(together[i : i + 1, j : j + 1], alone)


@variant
def test_the_size_of_a_chunk_does_not_matter(spec: Spec) -> None:
    decoder = decoder_of(spec, features=3)
    features = torch.randn(1, 3, 11, 5, dtype=torch.float64)
    points = 2 * torch.rand(20, 2, dtype=torch.float64) - 1
    for size, chunk in (((12, 10), 1), ((37, 7), 50)):
        expected = decoder(features, size), decoder.query(features, points, cell_of(size))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoder, "chunk", chunk)
            torch.testing.assert_close(decoder(features, size), expected[0])
            torch.testing.assert_close(decoder.query(features, points, cell_of(size)), expected[1])


@variant
@pytest.mark.parametrize("size", [(31, 4), (61, 7), (13, 5), (3, 3), (125, 2), (77, 1)], ids=str)
def test_bands_of_a_tall_picture_are_as_the_whole(spec: Spec, size: tuple[int, int]) -> None:
    decoder = decoder_of(spec, features=3)
    features = torch.randn(2, 3, 31, 4, dtype=torch.float64)
    expected = as_points(decoder(features, size))
    decoder.band = 1
    torch.testing.assert_close(as_points(decoder(features, size)), expected)
    torch.testing.assert_close(decoder.query(features, centers(size), cell_of(size)), expected, atol=1e-5, rtol=1e-5)


def gradients(decoder: Any, features: Tensor, size: tuple[int, int], points: Tensor | None) -> dict[str, Tensor]:
    """The gradient of some function of the output, in each parameter and in the features."""
    leaf = features.clone().requires_grad_()
    decoder.zero_grad()
    output = as_points(decoder(leaf, size)) if points is None else decoder.query(leaf, points, cell_of(size))
    weights = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view(output.shape)
    (weights * output).sum().backward()
    assert leaf.grad is not None
    return {"features": leaf.grad, **{name: p.grad.clone() for name, p in decoder.named_parameters()}}


@variant
def test_gradients_reach_every_parameter_and_do_not_depend_on_the_chunk(spec: Spec) -> None:
    decoder = decoder_of(spec, features=3)
    features = torch.randn(2, 3, 11, 4, dtype=torch.float64)
    for size, points in (((22, 8), None), ((37, 9), None), ((37, 9), 2 * torch.rand(80, 2).double() - 1)):
        expected = gradients(decoder, features, size, points)
        assert not [name for name, gradient in expected.items() if not gradient.any()]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoder, "chunk", 17)
            pieces = gradients(decoder, features, size, points)
        assert pieces.keys() == expected.keys()
        for name in expected:
            torch.testing.assert_close(pieces[name], expected[name])


@variant
def test_gradients_are_those_of_the_numbers(spec: Spec) -> None:
    decoder = decoder_of(spec, features=1)
    features = torch.randn(1, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    points = 1.8 * torch.rand(4, 2, dtype=torch.float64) - 0.9
    assert torch.autograd.gradcheck(lambda x: decoder(x, (3, 5)), (features,))
    assert torch.autograd.gradcheck(lambda x: decoder.query(x, points, (0.3, 0.4)), (features,))


@variant
def test_double_single_and_mixed_precision_agree(spec: Spec) -> None:
    decoder = decoder_of(spec, features=3)
    features = torch.randn(2, 3, 11, 5, dtype=torch.float64)
    points = 2 * torch.rand(40, 2, dtype=torch.float64) - 1
    exact = {}
    for size in ((22, 10), (37, 7)):
        exact[size] = decoder(features, size), decoder.query(features, points, cell_of(size))
        assert all(output.dtype == torch.float64 for output in exact[size])
    decoder.float()
    features = features.float()
    for size, (grid, queried) in exact.items():
        single = decoder(features, size), decoder.query(features, points, cell_of(size))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = decoder(features, size), decoder.query(features, points, cell_of(size))
        for output, expected in zip(single, (grid, queried), strict=True):
            assert output.dtype == torch.float32
            torch.testing.assert_close(output.double(), expected, atol=1e-4, rtol=1e-4)
        for output, expected in zip(mixed, (grid, queried), strict=True):
            # Eight bits of precision, in the positions as well.
            assert (output.double() - expected).square().mean().sqrt() < 0.05 * expected.std()


@variant
def test_inference_mode_changes_nothing(spec: Spec) -> None:
    decoder = decoder_of(spec, features=3)
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    points = 2 * torch.rand(7, 2, dtype=torch.float64) - 1
    expected = decoder(features, (8, 13)), decoder.query(features, points, (0.2, 0.3))
    with torch.inference_mode():
        assert torch.equal(decoder(features, (8, 13)), expected[0])
        assert torch.equal(decoder.query(features, points, (0.2, 0.3)), expected[1])


@variant
def test_each_axis_has_a_scale_of_its_own(spec: Spec) -> None:
    """Features that are the same along an axis give an image that is, however that axis is scaled."""
    decoder = decoder_of(spec, features=3)
    config = getattr(decoder, "config", None)
    if config is not None and config.receptive_field() is None:
        return  # it sees the border everywhere
    column = torch.randn(1, 3, 6, 1, dtype=torch.float64).expand(-1, -1, -1, 7).contiguous()
    image = decoder(column, (15, 14))
    assert image.shape == (1, 2, 15, 14)
    # Away from the border, where zeros come in, only the phase within a feature pixel is left.
    torch.testing.assert_close(image[..., 4:8], image[..., 6:10], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(image[..., 4:8, :], image[..., 6:10, :])


@variant
def test_features_need_not_be_contiguous(spec: Spec) -> None:
    decoder = decoder_of(spec, features=3)
    features = torch.randn(2, 4, 5, 3, dtype=torch.float64).permute(0, 3, 1, 2)
    assert not features.is_contiguous()
    torch.testing.assert_close(decoder(features, (7, 8)), decoder(features.contiguous(), (7, 8)))


@variant
def test_points_beyond_the_image_are_answered_from_its_border(spec: Spec) -> None:
    decoder = decoder_of(spec, features=3)
    features = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    points = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [1.0, -1.0], [1.3, 0.2]], dtype=torch.float64)
    assert decoder.query(features, points, (0.2, 0.3)).isfinite().all()


@variant
def test_points_of_more_images_than_there_are_are_refused(spec: Spec) -> None:
    decoder = decoder_of(spec, features=3)
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    with pytest.raises(SpecError, match=r"got points of shape \(3, 6, 2\), expected \(N, 2\) or \(2, N, 2\)"):
        decoder.query(features, torch.zeros(3, 6, 2), (0.2, 0.3))
    with pytest.raises(SpecError, match=r"got cell \(0\.0, 0\.3\), expected two positive numbers"):
        decoder.query(features, torch.zeros(6, 2), (0.0, 0.3))
    with pytest.raises(SpecError, match="not finite"):
        decoder.query(features, torch.full((6, 2), torch.nan), (0.2, 0.3))
