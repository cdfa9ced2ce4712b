"""Scoring restorers on folders, generated and of the reference data."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

import toolbox
from tests import plain
from tests.parts import component, installed_and
from tests.shared import reference
from toolbox.config import EncoderConfig
from toolbox.discovery import installed
from toolbox.errors import ImageError
from toolbox.evaluation.scoring import Score, score_folder
from toolbox.records import ProtocolInfo
from toolbox.resolve import resolve
from toolbox.restorer import Restorer

Bytes = npt.NDArray[np.uint8]

UNTOUCHED = {"channels": 1, "encoder": "identity", "decoder": "features"}


def protocol(name: str) -> ProtocolInfo:
    return installed().protocols[name]


def draw(path: Path, *shape: int, seed: int = 0) -> Bytes:
    """Write a picture of random values; (H, W) or (H, W, 3)."""
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(values).save(path)
    return values


def scores(restorer: Restorer, folder: Path, name: str, sigma: float = 25) -> list[Score]:
    return list(score_folder(restorer, folder, protocol(name), sigma))


# denoise-gray


def expected_of_untouched(picture: Bytes, sigma: float) -> float:
    """The score of noise that is left as it is, by numpy."""
    noise = torch.randn((1, 1, *picture.shape), generator=torch.Generator().manual_seed(0))[0, 0].double().numpy()
    output = np.round(np.clip(picture / 255 + noise * sigma / 255, 0, 1) * 255)
    return 10 * math.log10(255**2 / np.mean((output - picture) ** 2))


@pytest.mark.parametrize("sigma", [5, 25, 50])
def test_noise_left_as_it_is_scores_what_numpy_says(tmp_path: Path, sigma: float) -> None:
    small, large = draw(tmp_path / "a.png", 30, 41), draw(tmp_path / "b.png", 52, 33, seed=1)
    found = scores(toolbox.build(UNTOUCHED), tmp_path, "denoise-gray", sigma)
    assert [score.picture for score in found] == ["a.png", "b.png"]
    assert [score.scale for score in found] == [1.0, 1.0]
    expected = [expected_of_untouched(picture, sigma) for picture in (small, large)]
    assert [score.psnr for score in found] == pytest.approx(expected, abs=0.02)


def test_scores_can_be_made_again_whatever_the_folder_holds_besides(tmp_path: Path) -> None:
    draw(tmp_path / "b.png", 30, 41)
    restorer = toolbox.build("nl-means")
    first = scores(restorer, tmp_path, "denoise-gray")
    torch.manual_seed(77)
    assert scores(restorer, tmp_path, "denoise-gray") == first
    draw(tmp_path / "a.png", 20, 20, seed=1)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "folder").mkdir()
    assert scores(restorer, tmp_path, "denoise-gray")[1:] == first


def test_without_noise_an_untouched_picture_is_perfect_and_said_to_be(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 30, 41)
    (score,) = scores(toolbox.build(UNTOUCHED), tmp_path, "denoise-gray", sigma=0)
    assert score.psnr == math.inf
    assert score.notes == ("identical to the original: its PSNR is infinite, and left out of the mean",)


def test_color_pictures_are_made_gray(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 30, 41, 3)
    with Image.open(tmp_path / "a.png") as image:
        gray = np.asarray(image.convert("L"))
    (score,) = scores(toolbox.build(UNTOUCHED), tmp_path, "denoise-gray")
    assert score.psnr == pytest.approx(expected_of_untouched(gray, 25), abs=0.02)
    assert score.notes == ("a color picture, scored as gray",)


def test_pictures_of_every_kind_are_found_in_order_of_their_names(tmp_path: Path) -> None:
    names = ["a.BMP", "b.jpg", "c.png", "d.tif", "e.webp"]
    for name in reversed(names):
        draw(tmp_path / name, 16, 16)
    (tmp_path / "readme.md").touch()
    assert [score.picture for score in scores(toolbox.build(UNTOUCHED), tmp_path, "denoise-gray")] == names


def test_each_score_comes_as_it_is_made(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 16, 16)
    (tmp_path / "b.png").write_bytes(b"no picture")
    running = score_folder(toolbox.build(UNTOUCHED), tmp_path, protocol("denoise-gray"), 25)
    assert next(running).picture == "a.png"
    with pytest.raises(ImageError, match=r"b\.png: not a picture"):
        next(running)


def test_a_restorer_in_training_stays_there_and_is_scored_in_eval_mode(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 16, 16)
    spec = {"channels": 1, "encoder": {"name": "edsr", "channels": 4, "blocks": 1}, "decoder": "residual-conv"}
    restorer = toolbox.build(spec)
    expected = scores(restorer.eval(), tmp_path, "denoise-gray")
    before = {name: tensor.clone() for name, tensor in restorer.state_dict().items()}
    assert scores(restorer.train(), tmp_path, "denoise-gray") == expected
    assert restorer.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in restorer.state_dict().items())


# liif-benchmark


def pair(folder: Path, name: str, small: tuple[int, int], large: tuple[int, int]) -> tuple[Bytes, Bytes]:
    """Write a pair of pictures, the large one about the small one enlarged."""
    low = draw(folder / f"{name}_LR.png", *small, 3)
    with Image.open(folder / f"{name}_LR.png") as image:
        high = image.resize(large[::-1], Image.Resampling.BICUBIC)
    high.save(folder / f"{name}_HR.png")
    return low, np.asarray(high)


def expected_of_bicubic(low: Bytes, high: Bytes, shave: int) -> float:
    """The score of bicubic enlargement, by its formula."""
    image = torch.from_numpy(low / 255).permute(2, 0, 1)[None]
    restored = plain.bicubic(image, high.shape[:2], antialias=False)[0].permute(1, 2, 0).clamp(0, 1).numpy()
    luma = (restored - high / 255) @ np.array([65.738, 129.057, 25.064]) / 256
    return -10 * math.log10(np.mean(luma[shave:-shave, shave:-shave] ** 2))


def test_pairs_are_scored_at_the_size_of_the_large_one(tmp_path: Path) -> None:
    sizes = {"one": ((9, 11), (18, 22)), "three": ((8, 9), (32, 36)), "two": ((10, 8), (30, 24))}
    expected = {}
    for name, (small, large) in sizes.items():
        low, high = pair(tmp_path, name, small, large)
        expected[f"{name}_HR.png"] = expected_of_bicubic(low, high, large[0] // small[0])
    found = scores(toolbox.build("bicubic"), tmp_path, "liif-benchmark")
    assert all(score.megapixels > 0 and score.seconds > 0 and not score.notes for score in found)
    assert {score.picture: score.psnr for score in found} == pytest.approx(expected, abs=1e-3)
    assert {score.picture: score.scale for score in found} == {"one_HR.png": 2, "three_HR.png": 4, "two_HR.png": 3}


def test_a_scale_need_not_be_whole(tmp_path: Path) -> None:
    low, high = pair(tmp_path, "a", (8, 12), (20, 30))
    (score,) = scores(toolbox.build("bicubic"), tmp_path, "liif-benchmark")
    assert score.scale == 2.5
    assert score.psnr == pytest.approx(expected_of_bicubic(low, high, 2), abs=1e-3)


def test_the_noise_level_does_not_matter_to_pairs(tmp_path: Path) -> None:
    pair(tmp_path, "a", (8, 12), (16, 24))
    restorer = toolbox.build("bicubic")
    results = {score.psnr for sigma in (0, 25) for score in scores(restorer, tmp_path, "liif-benchmark", sigma)}
    assert len(results) == 1


# What cannot be scored


def test_a_damaged_partner_is_named(tmp_path: Path) -> None:
    pair(tmp_path, "a", (8, 12), (16, 24))
    (tmp_path / "a_LR.png").write_bytes((tmp_path / "a_LR.png").read_bytes()[:60])
    with pytest.raises(ImageError, match=r"a_LR\.png: "):
        scores(toolbox.build("bicubic"), tmp_path, "liif-benchmark")


# Published networks on the reference data


class DnCNNConfig(EncoderConfig):
    """No settings."""

    def out_channels(self, channels: int) -> int:
        return channels

    def receptive_field(self) -> int | None:
        return 17


class DnCNN(nn.Module):
    """A stranger's encoder: the image less what 17 convolutions find in it."""

    def __init__(self, config: DnCNNConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        layers: list[nn.Module] = []
        for before, after in pairwise((channels, *[64] * 16, channels)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
        self.model = nn.Sequential(*layers[:-1])

    def forward(self, image: Tensor) -> Tensor:
        noise: Tensor = self.model(image)
        return image - noise


def test_a_stranger_s_dncnn_scores_what_its_convolutions_do(tmp_path: Path) -> None:
    weights = load_file(reference("weights", "dncnn_sigma25.safetensors"))
    expected = []
    for name in ("01.png", "02.png"):
        with Image.open(reference("data", "set12", name)) as image:
            crop = image.convert("L").crop((60, 60, 156, 140))
        crop.save(tmp_path / name)
        clean = torch.from_numpy(np.asarray(crop) / 255).float()[None, None]
        noisy = clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)) * 25 / 255
        found = noisy
        for layer in range(0, 34, 2):
            found = F.conv2d(found.relu() if layer else found, *of_layer(weights, layer), padding=1)
        output = ((noisy - found).clamp(0, 1) * 255).round()
        expected.append(10 * math.log10(255**2 / (output - 255 * clean).double().square().mean().item()))
    results = [score.psnr for score in scores(dncnn(), tmp_path, "denoise-gray", sigma=25)]
    assert results == pytest.approx(expected, abs=0.01)
    assert min(results) > 20 * math.log10(255 / 25) + 6  # it does denoise


def test_a_stranger_s_dncnn_scores_on_set12_what_was_published() -> None:
    found = scores(dncnn(), reference("data", "set12"), "denoise-gray", sigma=25)
    assert len(found) == 12
    assert sum(score.psnr for score in found) / 12 == pytest.approx(30.43, abs=0.01)


def dncnn() -> Restorer:
    """The published weights in a restorer."""
    found = installed_and(component("dncnn", factory=DnCNN, config=DnCNNConfig))
    restorer = Restorer(resolve({**UNTOUCHED, "encoder": "dncnn"}, registries=found))
    restorer.encoder.load_state_dict(load_file(reference("weights", "dncnn_sigma25.safetensors")))
    return restorer


def of_layer(weights: dict[str, Tensor], number: int) -> tuple[Tensor, Tensor]:
    return weights[f"model.{number}.weight"], weights[f"model.{number}.bias"]


def test_converted_liif_scores_on_set5_what_its_authors_code_does() -> None:
    restorer = toolbox.convert(reference("weights", "edsr-baseline-liif.pth"))
    found = scores(restorer, reference("data", "set5", "x4"), "liif-benchmark")
    assert len(found) == 5
    assert sum(score.psnr for score in found) / 5 == pytest.approx(32.24, abs=0.01)


def test_torch_s_bicubic_scores_on_set5_what_was_measured() -> None:
    found = scores(toolbox.build("bicubic"), reference("data", "set5", "x4"), "liif-benchmark")
    assert sum(score.psnr for score in found) / 5 == pytest.approx(28.64, abs=0.01)
    assert [score.scale for score in found] == [4.0] * 5
