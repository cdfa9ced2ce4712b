"""Patches restored one by one and averaged, against a plain loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import toolbox
from tests.parts import restorer_of
from toolbox.errors import ImageError
from toolbox.evaluation.patches import restore_in_patches
from toolbox.restorer import Restorer

SPEC = {
    "channels": 1,
    "encoder": {"name": "nonlocal", "nonlocal": {"name": "nl-means", "neighborhood": {"kind": "whole"}, "patch": 1}},
    "decoder": "features",
}


def small() -> Restorer:
    """A network that sees the whole of what it is given, so that patches differ from the picture."""
    return toolbox.build(SPEC)


def averaged(restorer: Restorer, image: Tensor, side: int, stride: int, scale: int = 1) -> Tensor:
    height, width = image.shape[-2:]
    overlap, side = side - stride, min(side, height, width)
    stride = max(1, side - overlap)
    total = torch.zeros(1, image.shape[1], scale * height, scale * width)
    count = torch.zeros_like(total)
    for top in [*range(0, height - side, stride), height - side]:
        for left in [*range(0, width - side, stride), width - side]:
            rows, columns = (slice(scale * start, scale * (start + side)) for start in (top, left))
            total[..., rows, columns] += restorer(image[..., top : top + side, left : left + side], scale=scale)
            count[..., rows, columns] += 1
    return (total / count).clamp(0, 1)


@given(
    height=st.integers(3, 20),
    width=st.integers(3, 20),
    side=st.integers(3, 12),
    overlap=st.integers(0, 11),
)
def test_each_pixel_is_the_average_of_all_patches_that_hold_it(
    height: int, width: int, side: int, overlap: int
) -> None:
    image = torch.rand(1, 1, height, width)
    restorer, stride = small(), max(1, side - overlap)
    found = restore_in_patches(restorer, image, (height, width), side, stride)
    torch.testing.assert_close(found, averaged(restorer, image, side, stride))


@pytest.mark.parametrize("together", [1, 2**15])
def test_patches_are_enlarged(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolbox.evaluation.patches.PIXELS", together)
    restorer = restorer_of({**SPEC, "decoder": {"name": "pixel-shuffle-direct", "scale": 3}}).float()
    image = torch.rand(1, 1, 11, 14)
    with torch.no_grad():
        expected = averaged(restorer, image, 6, 4, 3)
    torch.testing.assert_close(restore_in_patches(restorer, image, (33, 42), 6, 4), expected)


def test_patches_of_a_fractional_scale_cover_the_picture() -> None:
    restorer = restorer_of({**SPEC, "decoder": {"name": "meta-upscale", "hidden": 4}}).float()
    found = restore_in_patches(restorer, torch.rand(1, 1, 11, 14), (28, 35), 6, 4)
    assert found.shape == (1, 1, 28, 35)
    assert found.isfinite().all()


def test_a_picture_of_one_patch_is_restored_at_once() -> None:
    image = torch.rand(1, 1, 9, 9)
    torch.testing.assert_close(restore_in_patches(small(), image, (9, 9), 45, 7), small()(image))


def test_patches_are_seen_apart() -> None:
    image = torch.rand(1, 1, 24, 24)
    assert not torch.allclose(restore_in_patches(small(), image, (24, 24), 9, 7), small()(image), atol=1e-4)


def test_a_restorer_in_training_stays_there() -> None:
    restorer = small().train()
    restore_in_patches(restorer, torch.rand(1, 1, 9, 9), (9, 9), 5, 2)
    assert restorer.training


def test_another_number_of_channels_is_refused() -> None:
    with pytest.raises(ImageError, match="got a picture of 3 channels, expected 1 for this model"):
        restore_in_patches(small(), torch.rand(1, 3, 9, 9), (9, 9), 5, 2)
