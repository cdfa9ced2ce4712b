"""SwinIR: against its plain version, attention written as a loop, and its published outputs."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from toolbox_swinir.plain import swinir as published
from torch import Tensor

import toolbox
from tests.golden_encoders import TOLERANCE, distance, golden
from tests.images.engine.test_plan import MEASURED
from tests.parts import DECODERS, encoder_of, encoder_radius, restorer_of
from tests.plugins.published_swinir import FORMATS, classical, direct, real, same_size, swinir
from toolbox.errors import SpecError, WeightsError
from toolbox.images.engine.tiling import Tiling, encode_in_tiles
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.testing.measure import farthest
from toolbox.weights.file import read_metadata

SMALL = {"name": "swinir", "channels": 4, "depths": [2, 2], "heads": [2, 1], "hidden": 6, "window": 4}
sides = st.integers(1, 5)


def assert_equal(result: Tensor, expected: Tensor) -> None:
    assert result.shape == expected.shape
    assert (result - expected).abs().max() <= 1e-9 * expected.abs().max()


# Windows without a roll and a mask.


@settings(max_examples=60)
@given(
    windows=st.tuples(st.integers(1, 2), sides, sides),
    window=st.integers(2, 5),
    depths=st.lists(st.integers(1, 3), min_size=1, max_size=2),
    connection=st.sampled_from(("1conv", "3conv")),
    pairs=st.sampled_from((1, 2**12, 2**19)),
    recorded=st.booleans(),
)
def test_random_pictures_equal_rolled_windows_with_a_mask(
    windows: tuple[int, int, int], window: int, depths: list[int], connection: str, pairs: int, recorded: bool
) -> None:
    heads = [2] * len(depths)
    encoder = encoder_of({**SMALL, "depths": depths, "heads": heads, "window": window, "connection": connection})
    batch, down, across = windows
    image = torch.randn(batch, 2, window * down, window * across, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch, torch.set_grad_enabled(recorded):
        patch.setattr("toolbox_swinir.windows.PAIRS_AT_A_TIME", pairs)
        assert_equal(encoder(image), published(encoder, image))


def attended(block: Any, pixels: Tensor) -> Tensor:
    """What each pixel of (H, W, C) gathers in a block, pixel by pixel and head by head."""
    height, width, channels = pixels.shape
    size, query_key_value = channels // block.heads, block.qkv(pixels)
    gathered = torch.empty_like(pixels)

    def window_of(y: int, x: int) -> tuple[int, int]:
        return (y - block.start) // block.window, (x - block.start) // block.window

    for y in range(height):
        for x in range(width):
            seen = [(i, j) for i in range(height) for j in range(width) if window_of(i, j) == window_of(y, x)]
            for head in range(block.heads):
                query, key, value = (
                    query_key_value[..., part * channels + head * size :][..., :size] for part in range(3)
                )
                rows = [(y - i + block.window - 1) * (2 * block.window - 1) + x - j + block.window - 1 for i, j in seen]
                scores = [
                    query[y, x] @ key[i, j] / math.sqrt(size) + block.bias[row, head]
                    for (i, j), row in zip(seen, rows, strict=True)
                ]
                shares = torch.stack(scores).softmax(0)
                values = torch.stack([value[i, j] for i, j in seen])
                gathered[y, x, head * size : (head + 1) * size] = shares @ values
    return block.projection(gathered)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("shape", [(6, 6), (3, 9), (7, 5), (1, 2)], ids=str)
@torch.no_grad()
def test_a_pixel_attends_to_those_of_its_window_in_pictures_of_any_size(number: int, shape: tuple[int, int]) -> None:
    block = encoder_of({**SMALL, "window": 3}).groups[0].blocks[number]
    features = torch.randn(1, 4, *shape, dtype=torch.float64)
    pixels = features[0].permute(1, 2, 0)
    pixels = pixels + attended(block, block.attention_norm(pixels))
    expected = pixels + block.narrow(F.gelu(block.widen(block.mlp_norm(pixels))))
    assert_equal(block(features)[0].permute(1, 2, 0), expected)


def test_the_features_are_the_same_with_and_without_gradients_and_the_input_is_left_alone() -> None:
    encoder, image = encoder_of(SMALL), torch.randn(2, 2, 12, 8, dtype=torch.float64)
    before = image.clone()
    with torch.no_grad():
        without = encoder(image)
    assert_equal(encoder(image), without)
    assert torch.equal(image, before)


def test_it_trains_under_autocast() -> None:
    encoder, image = encoder_of(SMALL).float(), torch.rand(1, 2, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        features = encoder(image)
    features.float().square().mean().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    with torch.no_grad():
        expected = encoder(image)
    assert (features.float() - expected).abs().max() <= 0.1 * expected.abs().max()


# How far a pixel sees, and what follows from it.


@pytest.mark.parametrize(
    ("name", "expected"),
    [("swinir-light-x2", 102), ("swinir-x2", 150), ("swinir-jpeg-color", 132), ("swinir-real-large-x4", 224)],
)
def test_published_networks_see_so_far(name: str, expected: int) -> None:
    assert resolve(name).encoder.config.receptive_field() == expected


@pytest.mark.parametrize(
    ("connection", "depths", "window"),
    [("1conv", [2, 2], 4), ("1conv", [1], 3), ("3conv", [2, 1], 2), ("3conv", [4], 3), ("1conv", [2, 2], 7)],
)
def test_a_pixel_sees_exactly_as_far_as_declared(connection: str, depths: list[int], window: int) -> None:
    spec = {**SMALL, "depths": depths, "heads": [1] * len(depths), "window": window, "connection": connection}
    declared, encoder = encoder_radius(spec), encoder_of(spec)
    assert declared is not None
    with torch.no_grad():
        for group in encoder.groups:
            for block in group.blocks:  # scores so much alike that no pixel is left out
                block.qkv.weight[:4].mul_(0.02)
                block.qkv.bias.zero_()
                block.bias.mul_(0.1)
        rows = math.ceil((2 * declared + 2 * window) / window) * window
        assert farthest(encoder, torch.rand(1, 2, rows, window, dtype=torch.float64)) == declared


@pytest.mark.parametrize(("window", "tile"), [(4, 16), (7, 14)])
def test_tiles_give_the_features_of_the_whole(window: int, tile: int) -> None:
    spec = {**SMALL, "window": window}
    restorer = restorer_of({"channels": 1, "encoder": spec, "decoder": "conv"})
    image = restorer.pad(torch.rand(1, 1, 75, 61, dtype=torch.float64))
    tiling = Tiling(tile, restorer.spec.encoder.config.receptive_field(), window)
    assert tiling.count(*image.shape[2:]) > 4
    with torch.no_grad():
        assert_equal(encode_in_tiles(restorer, image, tiling, lambda: None), restorer.encode(image))


def test_tiles_that_begin_elsewhere_would_not() -> None:
    restorer = restorer_of({"channels": 1, "encoder": SMALL, "decoder": "conv"})
    image = torch.rand(1, 1, 48, 48, dtype=torch.float64)
    with torch.no_grad():
        in_tiles = encode_in_tiles(restorer, image, Tiling(18, 18, 1), lambda: None)
        assert (in_tiles - restorer.encode(image)).abs().max() > 1e-3


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory as Linux tells it")
@pytest.mark.parametrize(("window", "height", "width", "less"), [(8, 300, 280, 15e6), (7, 300, 280, 0)])
def test_the_memory_that_was_planned_is_enough_and_not_far_off(
    window: int, height: int, width: int, less: float, tmp_path: Path
) -> None:
    encoder = {"preset": "light", "depths": [2], "heads": [6], "window": window}
    model = tmp_path / "swinir.safetensors"
    toolbox.save(toolbox.build("swinir-denoise-color", encoder={"name": "swinir", **encoder}), model)
    command = [sys.executable, "-c", MEASURED, *map(str, (model, height, width, 1, less))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    estimated, promised, measured = map(float, done.stdout.split())
    assert estimated <= promised
    assert measured <= promised
    assert measured > 0.75 * estimated


# The published networks.

GOLDENS = [
    "swinir_features_aligned",
    "swinir_light_x2",
    "swinir_classical_x3",
    "swinir_denoise_gray",
    "swinir_jpeg_color",
]


def outputs(case: Any, restorer: Restorer) -> dict[str, Tensor]:
    """What a restorer makes of the case's input: the features at the padded size, and the image."""
    image = torch.from_numpy(case.input)
    with torch.inference_mode():
        features = restorer.encode(restorer.pad(image))
        return {"features": features, "image": restorer.decode(features, image, restorer.output_size(*image.shape[2:]))}


@pytest.mark.parametrize("name", GOLDENS)
def test_every_output_equals_the_published_code_s(name: str) -> None:
    case = golden(name)
    buffers = {key: np.zeros(shape, np.float32) for key, shape in case.meta["buffers"].items()}
    found = outputs(case, toolbox.convert(case.weights() | buffers))
    assert case.outputs
    for key, expected in case.outputs.items():
        assert distance(found[key], expected) <= TOLERANCE, key


@pytest.mark.parametrize("name", ["swinir_light_x2", "swinir_jpeg_color"])
def test_another_range_of_the_pictures_misses_the_golden(name: str) -> None:
    case = golden(name)
    white = 1 if name == "swinir_jpeg_color" else 255
    found = outputs(case, toolbox.convert(case.weights(), white=white))
    assert distance(found["image"], case.outputs["image"]) > TOLERANCE


def test_another_padding_misses_the_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    case = golden("swinir_light_x2")
    restorer = toolbox.convert(case.weights())
    monkeypatch.setattr(restorer, "padding", type(restorer.padding)(8, "replicate"))
    assert distance(outputs(case, restorer)["features"], case.outputs["features"]) > TOLERANCE


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("swinir-light-x2", 910_152),
        ("swinir-light-x3", 918_267),
        ("swinir-light-x4", 929_628),
        ("swinir-x2", 11_752_487),
        ("swinir-x3", 11_937_127),
        ("swinir-x4", 11_900_199),
        ("swinir-real-x4", 11_715_559),
        ("swinir-real-large-x4", 28_013_059),
        ("swinir-denoise-gray", 11_497_681),
        ("swinir-denoise-color", 11_504_163),
        ("swinir-jpeg-gray", 11_485_585),
        ("swinir-jpeg-color", 11_492_067),
    ],
)
def test_the_catalog_has_the_published_networks(name: str, expected: int) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name)
    assert sum(parameter.numel() for parameter in restorer.parameters()) == expected
    assert restorer.padding.multiple == (7 if "jpeg" in name else 8)


def test_first_weights_are_small_and_first_biases_zero() -> None:
    block = toolbox.build("swinir-light-x2").encoder.groups[0].blocks[0]
    for weight in (block.bias, block.qkv.weight, block.projection.weight, block.widen.weight, block.narrow.weight):
        assert 0.017 < weight.std() < 0.023
    assert not any(linear.bias.any() for linear in (block.qkv, block.projection, block.widen, block.narrow))


OF_IMAGES = ("bicubic", "refine-luma")  # decoders that take images instead of features


def decoded_by(decoder: str) -> dict[str, Any]:
    more = {"output_channels": SMALL["channels"]} if decoder in ("features", "exemplars") else {}
    return {"channels": 3, "encoder": SMALL, "decoder": {"name": decoder, **DECODERS[decoder]}, **more}


# mixed-states takes several states, and depth-to-space the pixels of a finished picture.
@pytest.mark.parametrize("decoder", sorted(DECODERS.keys() - {*OF_IMAGES, "mixed-states", "depth-to-space"}))
def test_every_decoder_of_features_takes_its_features(decoder: str) -> None:
    restorer = restorer_of(decoded_by(decoder))
    scale = restorer.sizes if isinstance(restorer.sizes, int) else 1
    restored = restorer(torch.rand(1, 3, 9, 6, dtype=torch.float64))
    assert restored.shape[2:] == (9 * scale, 6 * scale)
    assert restored.isfinite().all()


@pytest.mark.parametrize("decoder", OF_IMAGES)
def test_a_decoder_of_images_is_refused_with_the_reason(decoder: str) -> None:
    with pytest.raises(SpecError, match=r"^decoder: .*use encoder identity \(encoder 'swinir' gives 4 channels\)$"):
        resolve(decoded_by(decoder))


def test_a_small_one_learns() -> None:
    encoder = {"name": "swinir", "channels": 8, "depths": [2], "heads": [2], "hidden": 16, "window": 4}
    restorer = toolbox.build("swinir-light-x2", encoder=encoder).train()
    optimizer = torch.optim.Adam(restorer.parameters(), lr=5e-3)
    losses = []
    for _ in range(50):
        small = torch.rand(4, 3, 4, 4)
        picture = F.interpolate(small, size=(24, 24), mode="bilinear")
        restored = restorer(F.interpolate(picture, size=(12, 12), mode="area"))
        loss = F.l1_loss(restored, picture)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


# Checkpoints.


@pytest.mark.parametrize("key", ["params", "params_ema"])
def test_a_file_of_the_authors_holds_its_tensors_one_level_down(key: str, tmp_path: Path) -> None:
    case = FORMATS["swinir"]()
    torch.save({key: case.state_dict}, tmp_path / "swinir.pth")
    converted = toolbox.convert(tmp_path / "swinir.pth")
    image = torch.rand(1, 3, 5, 7)
    torch.testing.assert_close(converted(image), case.restorer.eval()(image))


def test_of_two_networks_in_a_file_the_averaged_one_is_taken(tmp_path: Path) -> None:
    latest, average = direct(2)(), direct(2)()
    torch.save({"params": latest.state_dict, "params_ema": average.state_dict}, tmp_path / "swinir.pth")
    converted = toolbox.convert(tmp_path / "swinir.pth")
    expected = average.arrays["conv_first.weight"]
    assert np.array_equal(converted.encoder.shallow.weight.detach().numpy(), expected)


def test_buffers_of_any_content_are_left_aside() -> None:
    case = direct(2)()
    without = {name: array for name, array in case.arrays.items() if not name.endswith(("_index", "_mask"))}
    assert len(without) == len(case.arrays) - 4
    expected = toolbox.convert(without).state_dict()
    for name, tensor in toolbox.convert(case.arrays).state_dict().items():
        assert torch.equal(tensor, expected[name])


@pytest.mark.parametrize(
    ("case", "without", "message"),
    [
        (direct(2), "norm.weight", r"as swinir: missing norm\.weight$"),
        (direct(2), "layers.1.residual_group.blocks.0.mlp.fc2.bias", r"missing layers\.1\.residual_group\.blocks\.0\."),
        (direct(2), "conv_first.weight", r"missing 'conv_first\.weight', which determines the rest of the network"),
        (classical(4), "upsample.0.weight", r"missing 'upsample\.0\.weight', which determines"),
        (classical(4), "conv_last.bias", r"missing conv_last\.bias$"),
        (real(4, "1conv"), "conv_up1.weight", r"missing conv_up1\.weight$"),
        (real(4, "3conv"), "layers.0.conv.2.weight", r"missing layers\.0\.conv\.2\.weight$"),
        (same_size(1), "layers.0.residual_group.blocks.1.attn.relative_position_bias_table", r"unexpected layers\.0\."),
    ],
)
def test_a_checkpoint_without_a_part_is_refused(case: Any, without: str, message: str) -> None:
    arrays = case().arrays
    del arrays[without]
    with pytest.raises(WeightsError, match=message):
        toolbox.convert(arrays)


def test_a_head_of_another_network_is_refused() -> None:
    arrays = direct(2)().arrays | {"conv_last.weight": np.zeros((3, 8, 3, 3), np.float32)}
    with pytest.raises(WeightsError, match=r"unexpected conv_last\.weight$"):
        toolbox.convert(arrays)


def test_biases_for_no_window_are_refused() -> None:
    arrays = direct(2)().arrays
    name = "layers.0.residual_group.blocks.0.attn.relative_position_bias_table"
    arrays[name] = arrays[name][:-1]
    with pytest.raises(WeightsError, match=r"has 48 rows, expected the square of an odd number"):
        toolbox.convert(arrays)


def test_the_range_of_the_pictures_is_a_hint() -> None:
    case = swinir({"name": "conv"}, window=7, global_skip="bicubic")
    assert toolbox.convert(case.arrays).spec.normalization.std == 1 / 255
    assert toolbox.convert(case.arrays, white=1).spec.normalization.std == 1
    assert toolbox.convert(direct(2)().arrays, white=255).spec.normalization.std == 1 / 255


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": [6, 6]}, r"^encoder\.heads: got \[6, 6\], expected 4 numbers: one for each group, as in depths"),
        ({"heads": [6, 6, 7, 6]}, r"^encoder\.heads\.2: got 7, expected a divisor of the 60 channels"),
        ({"depths": []}, r"^encoder\.depths: got "),
        ({"window": 1}, r"^encoder\.window: got 1, expected greater than or equal to 2"),
        (
            {"channels": 3, "heads": [1] * 4, "connection": "3conv"},
            r"^encoder\.channels: got 3, expected at least 4, of which 3conv takes a quarter",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 3, "encoder": {"name": "swinir", **settings}, "decoder": "conv"})


def test_the_license_of_the_authors_weights_goes_along(tmp_path: Path) -> None:
    converted = toolbox.convert(direct(2)().arrays)
    assert converted.training_record == {"converted_from": "swinir", "license": "Apache-2.0"}
    toolbox.save(converted, tmp_path / "swinir.safetensors")
    assert read_metadata(tmp_path / "swinir.safetensors")["modelspec.license"] == "Apache-2.0"
    assert toolbox.load(tmp_path / "swinir.safetensors").training_record["license"] == "Apache-2.0"
