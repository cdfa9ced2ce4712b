"""Restormer against the published outputs, and its attention as a part of other networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import toolbox
from tests.golden_encoders import assert_close, golden, with_buffers
from tests.learning import assert_learns
from tests.parts import encoder_of, reach
from tests.plugins.published_restormer import restormer
from toolbox.errors import SpecError, WeightsError
from toolbox.resolve import resolve

SMALL: dict[str, Any] = {"name": "restormer", "channels": 4, "blocks": [1, 1], "heads": [1, 2], "refinement": 1}


@pytest.mark.parametrize("name", ["restormer", "restormer_biasfree_gray", "restormer_block", "mdta"])
def test_every_output_equals_the_published_code_s(name: str) -> None:
    case = golden(name)
    restorer = toolbox.convert(with_buffers(case))
    with torch.inference_mode():
        (published,) = case.outputs.values()
        assert_close(restorer(torch.from_numpy(case.input)), published)


def test_the_other_norm_misses_the_golden() -> None:
    case = golden("restormer_biasfree_gray")
    encoder = {**toolbox.convert(case.weights()).spec.encoder.config.model_dump(mode="json"), "norm": "with-bias"}
    weights = toolbox.convert(case.weights()).state_dict()
    spec = {"channels": 1, "global_skip": "bicubic", "decoder": {"name": "conv", "bias": False}}
    restorer = toolbox.build({**spec, "encoder": {"name": "restormer", **encoder}}).eval()
    left = restorer.load_state_dict(weights, strict=False)
    assert not left.unexpected_keys
    with torch.inference_mode(), pytest.raises(AssertionError):
        assert_close(restorer(torch.from_numpy(case.input)), case.outputs["image"], 1e-3)


# The attention.


def mdta(channels: int = 4, **config: Any) -> Any:
    return encoder_of({"name": "nonlocal", "nonlocal": {"name": "mdta", **config}}, channels).nonlocal_block


def test_every_pixel_sees_the_whole_image() -> None:
    block = mdta(heads=2)
    assert block.out_channels == 4
    seen = reach(lambda features: block(features)[0], torch.randn(1, 4, 4, 5, dtype=torch.float64))
    assert len(seen) == 20 * 20


def test_the_skip_can_be_left_out() -> None:
    block, features = mdta(heads=2), torch.randn(1, 4, 5, 6, dtype=torch.float64)
    bare = mdta(heads=2, skip=False)
    bare.load_state_dict(block.state_dict())
    torch.testing.assert_close(block(features)[0], features + bare(features)[0])


def test_the_length_of_queries_and_keys_does_not_matter() -> None:
    block, features = mdta(heads=2), torch.randn(1, 4, 5, 6, dtype=torch.float64)
    expected = block(features)[0]
    with torch.no_grad():
        block.attention.qkv.weight[:8] *= torch.rand(8, 1, 1, 1, dtype=torch.float64) + 0.5
    torch.testing.assert_close(block(features)[0], expected)


@pytest.mark.parametrize(
    "network",
    [
        {"encoder": {"name": "nonlocal", "nonlocal": {"name": "mdta", "heads": 2}}, "decoder": "features"},
        {
            "encoder": {
                "name": "edsr",
                "channels": 5,
                "nonlocal_after": [0],
                "nonlocal": {"name": "mdta", "heads": 2},
            },
            "decoder": "conv",
        },
        {
            "encoder": {
                "name": "recurrent",
                "transition": {"name": "nonlocal-residual", "channels": 5, "nonlocal": {"name": "mdta", "heads": 2}},
            },
            "decoder": "conv",
        },
        {
            "encoder": {
                "name": "with-nonlocal",
                "encoder": {"name": "edsr", "channels": 5, "blocks": 1},
                "nonlocal": {"name": "mdta", "heads": 2},
            },
            "decoder": "conv",
        },
    ],
    ids=["nonlocal", "edsr", "recurrent", "with-nonlocal"],
)
def test_channels_that_the_heads_do_not_divide_are_refused(network: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"^encoder.*mdta got [35] channels, expected a multiple of its 2 heads"):
        resolve({"channels": 3, **network})


def test_it_composes_with_nlrn_s_recurrence() -> None:
    encoder = {"steps": 2, "transition": {"channels": 8}}
    restorer = toolbox.build("nlrn-mdta", encoder=encoder)
    assert restorer.receptive_field is None
    image = torch.rand(2, 1, 9, 7)
    assert restorer(image).shape == image.shape
    assert_learns(restorer.spec)


def test_a_block_refuses_channels_that_its_heads_do_not_divide() -> None:
    spec = {"name": "nonlocal", "nonlocal": {"name": "restormer-block", "heads": 2}}
    with pytest.raises(SpecError, match=r"restormer-block got 3 channels, expected a multiple of its 2 heads"):
        resolve({"channels": 3, "encoder": spec, "decoder": "features"})


@pytest.mark.parametrize("norm", ["with-bias", "without-bias"])
def test_a_block_learns_within_edsr(norm: str) -> None:
    block = {"name": "restormer-block", "heads": 2, "norm": norm}
    encoder = {"name": "edsr", "channels": 6, "blocks": 2, "nonlocal_after": [0], "nonlocal": block}
    assert_learns({"channels": 3, "encoder": encoder, "decoder": "conv"})


# The network.


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("restormer-derain", 26_126_644), ("restormer-denoise", 26_111_668), ("restormer-denoise-gray", 26_109_076)],
)
def test_the_catalog_has_the_published_networks(name: str, parameters: int) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name)
    assert sum(parameter.numel() for parameter in restorer.parameters()) == parameters
    assert restorer.padding.multiple == 8


def test_a_small_one_learns() -> None:
    spec = {"channels": 1, "global_skip": "bicubic", "encoder": SMALL, "decoder": {"name": "conv", "bias": False}}
    assert_learns(spec)


def test_the_converter_says_that_the_license_is_not_commercial() -> None:
    assert "not commercial" in toolbox.convert(restormer().arrays).spec.summary


def test_half_of_a_network_is_refused() -> None:
    arrays = {name: array for name, array in restormer().arrays.items() if not name.startswith("decoder")}
    with pytest.raises(WeightsError, match=r"as restormer: missing decoder_level1\.0\."):
        toolbox.convert(arrays)
    without = {name: array for name, array in restormer().arrays.items() if not name.startswith("latent")}
    with pytest.raises(WeightsError, match=r"missing 'latent\.0\.attn\.temperature', which determines a level's"):
        toolbox.convert(without)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": [1]}, r"^encoder\.heads: got \[1\], expected 2 numbers, one for each level"),
        ({"heads": [1, 3]}, r"^encoder\.heads: got \[1, 3\], expected a divisor of the 8 channels of level 2"),
        ({"channels": 5}, r"^encoder\.channels: got 5, expected a multiple of 2"),
        ({"blocks": [1]}, r"^encoder\.blocks: got "),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 1, "encoder": {**SMALL, **settings}, "decoder": "conv"})
