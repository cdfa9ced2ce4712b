"""Restoring a picture: kinds in are kinds out, gray models and color pictures, alpha, sizes, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import toolbox
from tests import plain
from tests.parts import Spec, restorer_of
from toolbox.errors import ImageError, SpecError, ToolboxError, WeightsError
from toolbox.images.arrays import to_image
from toolbox.images.engine import reach
from toolbox.images.engine.run import restore_tensor
from toolbox.images.files.picture import read_picture
from toolbox.restorer import Restorer

Array = np.ndarray[Any, Any]
EDSR: Spec = {"name": "edsr", "channels": 4, "blocks": 1}
ANY: Spec = {"name": "dual-interactive", "hidden": [4]}


def model(channels: int, decoder: Spec | str = ANY, **more: Any) -> Restorer:
    """A tiny model with drawn weights that adds a little to its input."""
    restorer = restorer_of(
        {"channels": channels, "global_skip": "bicubic", "encoder": EDSR, "decoder": decoder, **more}
    ).float()
    with torch.no_grad():
        for parameter in restorer.decoder.parameters():
            parameter.mul_(0.3)
    return restorer


def bicubic(channels: int = 3) -> Restorer:
    return toolbox.build("bicubic", channels=channels)


def picture(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> Array:
    """A smooth picture with a little noise, away from black and white."""
    height, width = shape[:2]
    rows, columns = np.mgrid[:height, :width]
    smooth = (0.5 + 0.2 * np.sin(rows / 3) * np.cos(columns / 4)).reshape(height, width, *[1] * (len(shape) - 2))
    values = smooth + np.random.default_rng(seed).uniform(-0.1, 0.1, shape)
    white = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    return (values * white).astype(dtype)


def called(restorer: Restorer, image: Array, size: tuple[int, int]) -> Array:
    """The network itself on (H, W, C) in [0, 1], clipped."""
    with torch.inference_mode():
        result = restorer(torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None], size=size)
    return result[0].permute(1, 2, 0).clamp(0, 1).numpy()


# Kinds in are kinds out.


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 6), (7, 6, 1), (7, 6, 2), (7, 6, 3), (7, 6, 4)], ids=str)
def test_an_array_gives_an_array_of_its_type_and_axes(dtype: type[Any], shape: tuple[int, ...]) -> None:
    image = picture(*shape, dtype=dtype)
    before = image.copy()
    restored = toolbox.restore(image, model(3), scale=2)
    assert isinstance(restored, np.ndarray)
    assert restored.dtype == dtype
    assert restored.shape == (14, 12, *shape[2:])
    assert np.array_equal(image, before)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_picture_gives_a_picture_of_its_mode(mode: str) -> None:
    restored = toolbox.restore(Image.fromarray(picture(7, 6, 4)).convert(mode), model(3), size=(10, 9))
    assert isinstance(restored, Image.Image)
    assert (restored.mode, restored.size) == (mode, (9, 10))


def test_sixteen_bit_gray_gives_sixteen_bits() -> None:
    values = picture(7, 6, dtype=np.uint16)
    restored = toolbox.restore(Image.fromarray(values), bicubic(1))
    assert restored.mode == "I;16"
    assert np.array_equal(np.asarray(restored), values)


def test_a_path_gives_a_picture_or_the_path_that_it_is_written_to(tmp_path: Path) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    image = Image.fromarray(picture(7, 6, 3))
    image.save(source)
    network = model(3)
    restored = toolbox.restore(source, network, scale=1.5)
    assert isinstance(restored, Image.Image)
    assert restored.size == (9, 11)
    assert np.array_equal(np.asarray(toolbox.restore(image, network, scale=1.5)), np.asarray(restored))
    assert toolbox.restore(source, network, scale=1.5, output=target) == target
    assert np.array_equal(np.asarray(read_picture(target)), np.asarray(restored))
    assert toolbox.restore(str(source), network, scale=1.5, output=str(target)) == str(target)


def test_an_array_can_be_written_too(tmp_path: Path) -> None:
    restored = toolbox.restore(picture(5, 4, 3, dtype=np.uint16), bicubic(), output=tmp_path / "out.png")
    assert restored.dtype == np.uint16
    written = np.asarray(read_picture(tmp_path / "out.png"))
    assert written.dtype == np.uint8
    assert np.abs(restored / 257 - written).max() <= 0.5 + 1e-3


def test_a_palette_picture_is_restored_in_color() -> None:
    restored = toolbox.restore(Image.fromarray(picture(7, 6, 3)).quantize(9), bicubic(), scale=2)
    assert restored.mode == "RGB"


@pytest.mark.parametrize(
    ("dtype", "shape", "mode"),
    [
        (np.uint8, (3, 2), "L"),
        (np.uint8, (3, 2, 1), "L"),
        (np.uint16, (3, 2), "I;16"),
        (np.uint16, (3, 2, 3), "RGB"),
        (np.float32, (3, 2), "L"),
        (np.float64, (3, 2, 4), "RGBA"),
    ],
)
def test_an_array_as_a_picture(dtype: type[Any], shape: tuple[int, ...], mode: str) -> None:
    white = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    image = to_image(np.full(shape, white, dtype))
    assert image.mode == mode
    assert (np.asarray(image) == (65535 if mode == "I;16" else 255)).all()


# Values.


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_network_sees_zero_to_one_and_the_result_is_in_the_type_s_range(dtype: type[Any]) -> None:
    restorer, image = model(3), picture(6, 5, 3, dtype=dtype)
    white = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    expected = called(restorer, image / white, (9, 10)) * white
    restored = toolbox.restore(image, restorer, size=(9, 10))
    tolerance = 0.51 if white > 1 else 1e-6
    assert np.abs(restored - expected).max() <= tolerance


def test_what_is_not_restored_comes_back_bit_for_bit() -> None:
    for dtype in (np.uint8, np.uint16, np.float32):
        image = picture(6, 5, 3, dtype=dtype)
        assert np.array_equal(toolbox.restore(image, bicubic()), image)


def test_the_result_is_clipped() -> None:
    image = np.zeros((4, 12), np.uint8)
    image[:, 6:] = 255
    restored = toolbox.restore(image, bicubic(1), scale=3)
    unclipped = plain.bicubic(torch.from_numpy(image / 255)[None, None], (12, 36), antialias=False)
    assert unclipped.min() < 0
    assert unclipped.max() > 1
    assert np.abs(restored / 255 - unclipped[0, 0].clamp(0, 1).numpy()).max() <= 0.51 / 255


def test_a_noisy_float_picture_may_leave_its_range() -> None:
    image = picture(6, 5, dtype=np.float32)
    image[2, 3], image[4, 1] = 1.25, -0.25
    assert np.array_equal(toolbox.restore(image, bicubic(1)), image.clip(0, 1))


def test_a_gray_model_restores_the_channels_of_a_color_picture_one_by_one() -> None:
    restorer, image = model(1), picture(7, 6, 3, dtype=np.float32)
    restored = toolbox.restore(image, restorer, scale=2)
    for channel in range(3):
        alone = toolbox.restore(image[..., channel], restorer, scale=2)
        np.testing.assert_allclose(restored[..., channel], alone, atol=1e-6)


def test_a_color_model_sees_a_gray_picture_as_equal_channels() -> None:
    restorer, image = model(3), picture(7, 6, dtype=np.float32)
    expected = called(restorer, np.repeat(image[..., None], 3, -1), (14, 12)).mean(-1)
    restored = toolbox.restore(image, restorer, scale=2)
    np.testing.assert_allclose(restored, expected, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(14, 12), (7, 6), (4, 3)])
def test_alpha_is_resized_and_not_restored(channels: int, size: tuple[int, int]) -> None:
    restorer, image = model(channels), picture(7, 6, 4, dtype=np.float32)
    restored = toolbox.restore(image, restorer, size=size)
    colors = toolbox.restore(np.ascontiguousarray(image[..., :3]), restorer, size=size)
    np.testing.assert_allclose(restored[..., :3], colors, atol=1e-6)
    alpha = torch.from_numpy(image[..., 3].astype(np.float64))[None, None]
    expected = alpha if size == (7, 6) else plain.bicubic(alpha, size, antialias=size < (7, 6))
    np.testing.assert_allclose(restored[..., 3], expected[0, 0].clamp(0, 1), atol=1e-5)


def test_gray_with_alpha_is_two_channels() -> None:
    restorer, image = model(1), picture(7, 6, 2, dtype=np.float32)
    restored = toolbox.restore(image, restorer)
    np.testing.assert_allclose(restored[..., 0], toolbox.restore(image[..., 0], restorer), atol=1e-6)
    np.testing.assert_allclose(restored[..., 1], image[..., 1], atol=1e-7)


# Sizes.


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({}, (7, 6)),
        ({"scale": 2}, (14, 12)),
        ({"scale": 2.5}, (18, 15)),
        ({"scale": (3, 0.5)}, (21, 3)),
        ({"scale": 1e-9}, (1, 1)),
        ({"size": (5, 40)}, (5, 40)),
    ],
)
def test_any_size_is_made(asked: dict[str, Any], size: tuple[int, int]) -> None:
    assert toolbox.restore(picture(7, 6), model(1), **asked).shape == size


def test_a_fixed_scale_is_its_model_s_own() -> None:
    restorer = model(1, {"name": "pixel-shuffle", "scale": 3, "channels": 4}, global_skip="none")
    assert toolbox.restore(picture(7, 6), restorer).shape == (21, 18)
    with pytest.raises(SpecError, match=r"^got output size 12x14 for input 6x7, but the model enlarges 3 times; use"):
        toolbox.restore(picture(7, 6), restorer, scale=2)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"scale": 2, "size": (8, 8)}, r"^got size \(8, 8\) and scale 2, expected one of them$"),
        ({"scale": 0}, r"^got scale 0, expected a positive number or two of them$"),
        ({"scale": -2}, r"^got scale -2, expected"),
        ({"scale": float("nan")}, r"^got scale nan, expected"),
        ({"scale": (2, float("inf"))}, r"^got scale \(2, inf\), expected"),
        ({"scale": (1, 2, 3)}, r"^got scale \(1, 2, 3\), expected"),
        ({"scale": "2"}, r"^got scale '?2'?, expected"),
        ({"scale": 1e9}, r"^got "),
        ({"size": (0, 8)}, r"^got size \(0, 8\), expected \(height, width\), both positive integers$"),
        ({"size": (8,)}, r"^got size \(8,\), expected"),
        ({"size": (8.0, 8)}, r"^got size \(8\.0, 8\), expected"),
        ({"size": 8}, r"^got size 8, expected"),
        ({"size": (10**10, 10**10)}, r"^got "),
    ],
)
def test_a_size_that_cannot_be_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolboxError, match=message):
        toolbox.restore(picture(7, 6), bicubic(1), **asked)


# Models.


def test_a_weights_file_is_a_model(tmp_path: Path) -> None:
    restorer, path = model(1), tmp_path / "mine.safetensors"
    toolbox.save(restorer, path)
    expected = toolbox.restore(picture(7, 6), restorer, scale=2)
    assert np.array_equal(toolbox.restore(picture(7, 6), path, scale=2), expected)
    assert np.array_equal(toolbox.restore(picture(7, 6), str(path), scale=2), expected)


def test_a_model_without_weights_is_refused_before_the_work() -> None:
    with pytest.raises(WeightsError, match=r"^'nlrn' ships without weights; "):
        toolbox.restore(picture(7, 6), "nlrn")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_of_another_type_restores_all_the_same(dtype: torch.dtype) -> None:
    restorer, image = model(3), picture(7, 6, 4)
    expected = toolbox.restore(image, restorer, scale=2).astype(int)
    restored = toolbox.restore(image, restorer.to(dtype), scale=2)
    assert restored.dtype == np.uint8
    assert np.abs(restored - expected).max() <= (1 if dtype == torch.float64 else 8)


def test_a_model_in_training_is_not_changed_by_restoring() -> None:
    block = {"name": "soft-block-matching", "neighborhood": {"kind": "window", "size": 3}, "embedding_channels": 2}
    transition = {"name": "nonlocal-residual", "channels": 4, "nonlocal": block}
    encoder = {"name": "recurrent", "steps": 2, "transition": transition}
    restorer = restorer_of({"channels": 1, "encoder": encoder, "decoder": "residual-conv"}).float().train()
    before = {key: tensor.clone() for key, tensor in restorer.state_dict().items()}
    image = picture(7, 6)
    restored = toolbox.restore(image, restorer)
    assert restorer.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in restorer.state_dict().items())
    assert np.array_equal(toolbox.restore(image, restorer.eval()), restored)


# Progress.


@pytest.mark.parametrize(("channels", "passes"), [(3, 1), (1, 3)])
def test_progress_counts_to_its_end(channels: int, passes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "usual_tile", lambda _: 16)
    steps: list[tuple[int, int]] = []
    toolbox.restore(picture(40, 20, 3), model(channels), progress=lambda done, total: steps.append((done, total)))
    total = passes * (3 * 2 + 1)  # the tiles, and the decoder
    assert steps == [(done, total) for done in range(1, total + 1)]


def test_tiles_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    restorer, image = model(3), picture(40, 30, 3)
    whole = toolbox.restore(image, restorer, scale=1.5)
    monkeypatch.setattr(reach, "usual_tile", lambda _: 16)
    assert np.abs(toolbox.restore(image, restorer, scale=1.5).astype(int) - whole).max() <= 1


# What is refused.


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 5, 5)), r"^got a picture of 5 channels, expected 1 for this model$"),
        (np.zeros((4, 5, 0)), r"^got an array of shape \(4, 5, 0\), expected"),
        (np.zeros((1, 3, 4, 5)), r"^got an array of shape \(1, 3, 4, 5\), expected"),
        (np.zeros(4), r"^got an array of shape \(4,\), expected"),
        (np.zeros((0, 5)), r"^got an array of shape \(0, 5\), expected"),
        (np.zeros((4, 5), np.int64), r"^got an array of int64, expected uint8, uint16 or float in \[0, 1\]$"),
        (np.zeros((4, 5), bool), r"^got an array of bool, expected"),
        (np.zeros((4, 5), complex), r"^got an array of complex128, expected"),
        (np.full((4, 5), "a"), r"^got an array of <U1, expected"),
        (np.full((4, 5), np.nan), r"^got an array .*(finite|nan)"),
        (None, r"^got a NoneType, expected a path, a PIL image, an array or a tensor$"),
        ([[0.5]], r"^got a list, expected"),
        (torch.zeros(4), r"^got a tensor of shape \(4,\), expected \(H, W\), \(C, H, W\) or \(B, C, H, W\)"),
        (torch.zeros(5, 4, 4), r"^got a picture of 5 channels, expected 1 for this model$"),
        (torch.zeros(1, 0, 4), r"^got a tensor of shape \(1, 0, 4\), expected"),
        (
            torch.zeros(4, 4, dtype=torch.int64),
            r"^got a tensor of torch.int64, expected uint8, uint16 or float in \[0, 1\]$",
        ),
        (torch.full((4, 5), torch.nan), r"^got a tensor with values that are not finite, expected them in \[0, 1\]$"),
    ],
)
def test_what_is_no_picture_is_refused(image: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        toolbox.restore(image, bicubic(1))


def test_a_picture_without_pixels_is_refused() -> None:
    with pytest.raises(ImageError, match=r"^got an array of shape \(3, 0\)"):
        toolbox.restore(Image.new("L", (0, 3)), bicubic(1))


@pytest.mark.parametrize("channels", [2, 4])
def test_a_model_of_other_channels_is_refused(channels: int) -> None:
    with pytest.raises(ImageError, match=rf"^got a picture of 3 channels, expected {channels} for this model$"):
        toolbox.restore(picture(7, 6, 3), bicubic(channels))


def breaking(how: Callable[[Tensor], Tensor]) -> Restorer:
    restorer = model(1, summary="broken on purpose")

    class Broken(nn.Module):
        def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
            return how(features.new_zeros(len(features), 1, *size))

    restorer.decoder = Broken()
    return restorer


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_network_that_breaks_down_is_said_to(value: float, tmp_path: Path) -> None:
    def spoil(image: Tensor) -> Tensor:
        image[..., 2, 3] = value
        return image

    with pytest.raises(ImageError, match=r"^the network \(broken on purpose\) gave values that are not finite$"):
        toolbox.restore(picture(7, 6), breaking(spoil), output=tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []


def test_a_target_is_checked_before_the_work(tmp_path: Path) -> None:
    def never(_: Tensor) -> Tensor:
        raise AssertionError("the network ran")

    for name, message in (("out.xyz", r"no picture format has the suffix"), ("none/out.png", r"does not exist")):
        with pytest.raises(ImageError, match=message):
            toolbox.restore(picture(7, 6), breaking(never), output=tmp_path / name)


def test_tensors_are_restored_too() -> None:
    restorer, image = model(3), torch.rand(1, 3, 6, 5)
    with torch.inference_mode():
        expected = restorer(image, scale=2).clamp(0, 1)
    torch.testing.assert_close(restore_tensor(restorer, image, (12, 10)), expected)
