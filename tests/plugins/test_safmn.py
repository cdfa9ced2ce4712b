"""SAFMN against its published form, in tiles, and that it learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import toolbox
from tests.learning import assert_learns
from tests.parts import restorer_of
from tests.plugins.published_safmn import safmn
from tests.weights.published import Arrays
from toolbox.errors import SpecError, WeightsError
from toolbox.images.engine.tiling import encode_in_tiles, exact_tiling
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest

SAFMN: dict[str, Any] = {
    "channels": 3,
    "encoder": {"name": "safmn", "channels": 6, "blocks": 1, "levels": 3, "hidden": 8},
    "decoder": {"name": "pixel-shuffle-direct", "scale": 2},
}


def published(arrays: Arrays, image: Tensor, scale: int) -> Tensor:
    """SAFMN in published names, with pooling to a fixed share of the picture: (B, 3, H, W) → (B, 3, s·H, s·W)."""
    weights = {name: torch.from_numpy(value) for name, value in arrays.items()}

    def conv(name: str, x: Tensor, padding: int = 0, groups: int = 1) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding, groups=groups)

    def norm(name: str, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, 1, correction=0, keepdim=True)
        scale, shift = (weights[f"{name}.{kind}"].view(1, -1, 1, 1) for kind in ("weight", "bias"))
        return (x - mean) / (variance + 1e-6).sqrt() * scale + shift

    def modulation(name: str, x: Tensor) -> Tensor:
        levels = sum(key.startswith(f"{name}.mfr.") for key in arrays) // 2
        size, seen = x.shape[2:], []
        for level, share in enumerate(x.chunk(levels, 1)):
            reduced = F.adaptive_max_pool2d(share, [side // 2**level for side in size]) if level else share
            filtered = conv(f"{name}.mfr.{level}", reduced, 1, share.shape[1])
            seen.append(F.interpolate(filtered, size=size, mode="nearest"))
        return F.gelu(conv(f"{name}.aggr", torch.cat(seen, 1))) * x

    features = shallow = conv("to_feat", image, 1)
    number = 0
    while f"feats.{number}.norm1.weight" in arrays:
        name = f"feats.{number}"
        features = features + modulation(f"{name}.safm", norm(f"{name}.norm1", features))
        hidden = F.gelu(conv(f"{name}.ccm.ccm.0", norm(f"{name}.norm2", features), 1))
        features = features + conv(f"{name}.ccm.ccm.2", hidden)
        number += 1
    return F.pixel_shuffle(conv("to_img.0", features + shallow, 1), scale)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_converted_checkpoint_gives_what_the_published_algorithm_does(scale: int) -> None:
    arrays = safmn(scale).arrays
    image = torch.rand(2, 3, 12, 20)
    expected = published(arrays, image, scale)
    with torch.no_grad():
        assert (toolbox.convert(arrays)(image) - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_sides_that_cells_do_not_divide_are_padded_and_cropped() -> None:
    arrays = safmn().arrays
    image = torch.rand(1, 3, 10, 15)
    expected = published(arrays, F.pad(image, (0, 1, 0, 2), "reflect"), 2)[..., :20, :30]
    with torch.no_grad():
        assert (toolbox.convert(arrays)(image) - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize(("name", "expected"), [("safmn-x2", 227_820), ("safmn-x4", 239_520)])
def test_the_catalog_s_networks_have_the_published_size(name: str, expected: int) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name)
    assert sum(parameter.numel() for parameter in restorer.parameters()) == expected


def test_a_feature_sees_the_cells_beyond_its_own_and_a_pixel() -> None:
    restorer = restorer_of(SAFMN)
    assert restorer.spec.encoder.config.receptive_field() == 9
    assert farthest(restorer.encode, torch.rand(1, 3, 32, 4, dtype=torch.float64)) == 9


def test_tiles_have_the_features_of_the_whole_picture() -> None:
    restorer = restorer_of(SAFMN)
    image = torch.rand(1, 3, 52, 36, dtype=torch.float64)
    with torch.no_grad():
        tiles = encode_in_tiles(restorer, image, exact_tiling(restorer.spec.encoder.config, 8), lambda: None)
        torch.testing.assert_close(tiles, restorer.encode(image))


def test_it_learns_in_fifty_steps() -> None:
    assert_learns(SAFMN, scale=2)


@pytest.mark.parametrize("part", ["feats.1.safm.mfr.2.bias", "feats.0.ccm.ccm.2.weight", "to_feat.bias"])
def test_half_a_checkpoint_is_refused(part: str) -> None:
    arrays = {name: value for name, value in safmn().arrays.items() if name != part}
    with pytest.raises(WeightsError, match=rf"missing {part}"):
        toolbox.convert(arrays)


def test_an_upsampler_of_no_scale_is_refused() -> None:
    arrays = dict(safmn().arrays)
    arrays["to_img.0.weight"] = arrays["to_img.0.weight"][:11]
    with pytest.raises(WeightsError, match=r"gives 11 channels, expected 3 times 4, 9, 16 or 64"):
        toolbox.convert(arrays)


def test_channels_that_the_levels_do_not_divide_are_refused() -> None:
    with pytest.raises(SpecError, match=r"^encoder\.channels: got 34, expected a multiple of 4, the number of levels"):
        resolve({"channels": 3, "encoder": {"name": "safmn", "channels": 34}, "decoder": "conv"})
