"""Patches restored one by one and averaged, against a plain loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import toolbox
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


def averaged(restorer: Restorer, image: Tensor, side: int, stride: int) -> Tensor:
    height, width = image.shape[-2:]
    total, count = torch.zeros_like(image), torch.zeros_like(image)
    for top in [*range(0, height - side, stride), max(height - side, 0)]:
        for left in [*range(0, width - side, stride), max(width - side, 0)]:
            total[..., top : top + side, left : left + side] += restorer(
                image[..., top : top + side, left : left + side]
            )
            count[..., top : top + side, left : left + side] += 1
    return (total / count).clamp(0, 1)


@given(
    height=st.integers(3, 20),
    width=st.integers(3, 20),
    side=st.integers(3, 12),
    stride=st.integers(1, 7),
)
def test_each_pixel_is_the_average_of_all_patches_that_hold_it(height: int, width: int, side: int, stride: int) -> None:
    image = torch.rand(1, 1, height, width)
    restorer = small()
    found = restore_in_patches(restorer, image, side, stride)
    torch.testing.assert_close(found, averaged(restorer, image, side, stride))


def test_a_picture_of_one_patch_is_restored_at_once() -> None:
    image = torch.rand(1, 1, 9, 9)
    torch.testing.assert_close(restore_in_patches(small(), image, 45, 7), small()(image))


def test_patches_are_seen_apart() -> None:
    image = torch.rand(1, 1, 24, 24)
    assert not torch.allclose(restore_in_patches(small(), image, 9, 7), small()(image), atol=1e-4)


def test_a_restorer_in_training_stays_there() -> None:
    restorer = small().train()
    restore_in_patches(restorer, torch.rand(1, 1, 9, 9), 5, 2)
    assert restorer.training


def test_another_number_of_channels_is_refused() -> None:
    with pytest.raises(ImageError, match="got a picture of 3 channels, expected 1 for this model"):
        restore_in_patches(small(), torch.rand(1, 3, 9, 9), 5, 2)
