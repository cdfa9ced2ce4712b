"""Super-resolution by NLRN: luma restored on the bicubic enlargement, chroma left bicubic."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import toolbox
from tests import plain
from tests.parts import restorer_of
from toolbox.errors import SpecError
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.testing.measure import drawn

# BT.601, RGB in [0, 1] to [16, 235] and [16, 240] of 255, without the offsets.
LUMA = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64) / 255
CB = torch.tensor([-37.797, -74.203, 112.0], dtype=torch.float64) / 255
CR = torch.tensor([112.0, -93.786, -18.214], dtype=torch.float64) / 255

INNER: dict[str, Any] = {"name": "edsr", "channels": 4, "blocks": 1}
SIZES = [(8, 10), (12, 15), (7, 13), (4, 5), (3, 4), (1, 1)]


def refining(channels: int = 3, **more: Any) -> Restorer:
    """Refine-luma around a small EDSR, with drawn weights, in float64."""
    decoder = {"name": "refine-luma", "encoder": INNER, "decoder": "residual-conv"}
    return restorer_of({"channels": channels, "encoder": "identity", "decoder": decoder, **more})


def small_nlrn_sr() -> Restorer:
    """The catalog's NLRN for super-resolution, made small, in float64."""
    transition = {"channels": 3, "nonlocal": {"embedding_channels": 2, "neighborhood": {"size": 3}}}
    return drawn(toolbox.build("nlrn-sr", decoder={"encoder": {"steps": 2, "transition": transition}}))


def component(image: Tensor, weights: Tensor) -> Tensor:
    """A linear component of color: (B, 3, H, W) → (B, 1, H, W)."""
    return torch.einsum("c,bchw->bhw", weights, image)[:, None]


def bicubic(image: Tensor, size: tuple[int, int]) -> Tensor:
    shrinks = size[0] < image.shape[-2] or size[1] < image.shape[-1]
    return image if size == tuple(image.shape[-2:]) else plain.bicubic(image, size, antialias=shrinks)


def residual_of(restorer: Restorer, seen: Tensor) -> Tensor:
    """What the small EDSR inside, and its head, make of an image."""
    head = restorer.decoder.decoder
    features = plain.edsr(restorer.decoder.encoder, seen, 1.0)
    return plain.conv(plain.relu(plain.batch_norm(features, head.norm)), head.conv)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_without_a_residual_it_is_bicubic(size: tuple[int, int]) -> None:
    for restorer in (refining(), small_nlrn_sr()):
        head = restorer.decoder.decoder.conv
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
        image = torch.rand(2, 3, 4, 5, dtype=torch.float64)
        torch.testing.assert_close(restorer(image, size=size), bicubic(image, size))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_luma_is_the_bicubic_one_and_what_the_network_finds_in_it(size: tuple[int, int]) -> None:
    restorer = refining()
    image = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    luma = component(bicubic(image, size), LUMA)
    expected = luma + residual_of(restorer, luma + 16 / 255)
    # Published weights of luma are rounded differently by different authors, in the sixth digit.
    torch.testing.assert_close(component(restorer(image, size=size), LUMA), expected, atol=3e-5, rtol=3e-5)
    assert not torch.allclose(expected, luma, atol=1e-2)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_chroma_is_the_bicubic_one(size: tuple[int, int]) -> None:
    for restorer in (refining(), small_nlrn_sr()):
        image = torch.rand(2, 3, 4, 5, dtype=torch.float64)
        restored, enlarged = restorer(image, size=size), bicubic(image, size)
        assert not torch.allclose(restored, enlarged)
        for weights in (CB, CR):
            torch.testing.assert_close(component(restored, weights), component(enlarged, weights))


def test_the_network_of_the_catalog_sees_luma_on_16_to_235() -> None:
    restorer = small_nlrn_sr()
    image = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    enlarged = bicubic(image, (8, 10))
    luma = component(enlarged, LUMA)
    inner = restorer.decoder
    seen = 16 + 255 * luma
    features = plain.nlrn_features(inner.encoder, seen, steps=2, size=3, propagation="accumulate")
    head = inner.decoder
    residual = plain.conv(plain.relu(plain.batch_norm(features, head.norm)), head.conv) / 255
    result = component(restorer(image, scale=2), LUMA)
    torch.testing.assert_close(result, luma + residual, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_gray_image_is_its_own_luma(size: tuple[int, int]) -> None:
    restorer = refining(channels=1)
    image = torch.rand(2, 1, 4, 5, dtype=torch.float64)
    enlarged = bicubic(image, size)
    torch.testing.assert_close(restorer(image, size=size), enlarged + residual_of(restorer, enlarged))


def test_each_axis_has_a_scale_of_its_own() -> None:
    image = torch.rand(1, 3, 4, 6, dtype=torch.float64)
    assert small_nlrn_sr()(image, scale=(3, 0.5)).shape == (1, 3, 12, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"encoder": "rdn"},
            r"^decoder: refine-luma got 64 channels, expected a gray or RGB image; use encoder identity \(encoder ",
        ),
        ({"channels": 2}, r"^decoder: refine-luma got 2 channels, expected a gray or RGB image"),
        ({"output_channels": 1}, r"^decoder: refine-luma got 3 channels, expected a gray or RGB image"),
        (
            {"decoder": {"decoder": {"name": "pixel-shuffle", "scale": 2}}},
            r"^decoder[:.\s\w]*got 'pixel-shuffle', expected a decoder of the same size",
        ),
        ({"decoder": {"decoder": "bicubic"}}, r"^decoder.*bicubic got 4 channels, expected an image of 1"),
        ({"decoder": {"encoder": "identitty"}}, r"^decoder\.encoder\.name: unknown encoder 'identitty'; did you mean "),
    ],
    ids=["features outside", "two channels", "luma alone", "fixed scale inside", "no image inside", "unknown inside"],
)
def test_wrong_joins_are_refused_in_the_spec(changes: dict[str, Any], message: str) -> None:
    inner = {"name": "refine-luma", "encoder": INNER, "decoder": "residual-conv", **changes.get("decoder", {})}
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 3, "encoder": "identity", **changes, "decoder": inner})


def test_what_it_sees_is_what_its_parts_see_and_the_bicubic() -> None:
    config = refining().spec.decoder.config
    assert config.receptive_field() == (2 + 2) + 1 + 2
    whole = {"name": "nonlocal", "nonlocal": "wang-nonlocal"}
    decoder = {"name": "refine-luma", "encoder": whole, "decoder": "residual-conv"}
    spec = resolve({"channels": 3, "encoder": "identity", "decoder": decoder})
    assert spec.decoder.config.receptive_field() is None
