"""Networks that are told something beside the image: in code, in tiles, in training and in scoring."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import toolbox
from tests.parts import restorer_of
from tests.training.runs import pictures_of, recipe_of, write_pictures
from toolbox.discovery import installed
from toolbox.errors import SpecError, TrainingError
from toolbox.evaluation.cases import Sample, find_cases, read_sample
from toolbox.evaluation.run import find_jobs
from toolbox.evaluation.scoring import score_picture
from toolbox.images.engine.run import restore_tensor
from toolbox.images.engine.tiling import Tiling
from toolbox.restorer import Restorer
from toolbox.training.data import Batches
from toolbox.training.step import TrainedModule
from toolbox.weights.file import load, save

SIGMA = {"sigma": {"unit": 255, "description": "the noise level, of 255"}}
# Gives what it sees: the image, and a map of each condition.
SHOWN: dict[str, Any] = {
    "channels": 1,
    "output_channels": 2,
    "conditions": SIGMA,
    "encoder": "identity",
    "decoder": "features",
}
DENOISER: dict[str, Any] = {
    "summary": "told how noisy",
    "channels": 1,
    "global_skip": "bicubic",
    "conditions": SIGMA,
    "encoder": {"name": "pixel-unshuffle", "factor": 2, "encoder": {"name": "edsr", "channels": 12, "blocks": 1}},
    "decoder": "residual-conv",
}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save(restorer_of(DENOISER).float(), tmp_path / "told.safetensors")
    return tmp_path / "told.safetensors"


# In code.


@given(sigma=st.floats(0, 255), batch=st.integers(1, 3))
def test_the_encoder_gets_a_map_in_the_unit_of_the_spec(sigma: float, batch: int) -> None:
    restorer, image = Restorer(toolbox.build(SHOWN).spec), torch.rand(batch, 1, 3, 4)
    seen = restorer(image, sigma=sigma)
    assert torch.equal(seen[:, :1], image)
    torch.testing.assert_close(seen[:, 1:], torch.full_like(image, sigma / 255))


def test_a_condition_is_a_number_one_for_each_image_or_a_map() -> None:
    restorer, image = toolbox.build(SHOWN), torch.rand(2, 1, 3, 4)
    levels = 255 * torch.rand(3, 4)
    assert torch.equal(restorer(image, sigma=levels)[:, 1], (levels / 255).expand(2, 3, 4))
    each = 255 * torch.rand(2, 1, 3, 4)
    torch.testing.assert_close(restorer(image, sigma=each)[:, 1:], each / 255)
    two = restorer(image, sigma=torch.tensor([0.0, 255.0]))[:, 1]
    assert (two[0] == 0).all()
    assert (two[1] == 1).all()
    with pytest.raises(SpecError, match=r"^got sigma of shape \(1, 5\) for images of \(2, 1, 3, 4\), expected a num"):
        restorer(image, sigma=torch.rand(1, 5))


def test_a_normalization_is_of_the_image_alone() -> None:
    spec = {**SHOWN, "normalization": {"mean": 0.5, "std": 0.25}}
    restorer, image = restorer_of(spec), torch.rand(1, 1, 3, 4, dtype=torch.float64)
    encoded = restorer.encode(restorer.pad(restorer.with_conditions(image, {"sigma": 51})))
    torch.testing.assert_close(encoded, torch.cat(((image - 0.5) / 0.25, torch.full_like(image, 0.2)), 1))


MISSING = (
    r"^the network needs sigma \(the noise level, of 255\), and got none; give sigma=NUMBER, or --sigma NUMBER on the "
    r"command line$"
)


def test_a_missing_or_an_unknown_one_is_a_sentence(weights: Path) -> None:
    image = np.random.default_rng(0).random((6, 7), np.float32)
    with pytest.raises(SpecError, match=MISSING):
        load(weights)(torch.from_numpy(image)[None, None])
    with pytest.raises(SpecError, match=MISSING):
        toolbox.restore(image, weights)
    with pytest.raises(SpecError, match=r"^got 'sigam', but the network takes no conditions; leave it out$"):
        toolbox.restore(image, "bicubic", sigam=25)
    with pytest.raises(SpecError, match=r"^got 'max_memroy', but the network takes sigma; did you mean 'max_mem"):
        toolbox.restore(image, weights, sigma=25, max_memroy=1)


@pytest.mark.parametrize("name", ["Sigma", "noise-level", "scale", "class", "1st"])
def test_a_name_that_code_cannot_use_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match=rf"^conditions\.{re.escape(name)}: got '{name}', expected a lower-case word"):
        toolbox.build({**SHOWN, "conditions": {name: {}}, "output_channels": 2})


def test_it_is_kept_in_the_weights_file(weights: Path) -> None:
    again, image = load(weights), torch.rand(1, 1, 5, 6)
    assert again.spec.conditions["sigma"].unit == 255
    with torch.no_grad():
        first, second = (again(image, sigma=sigma) for sigma in (10, 50))
    assert not torch.equal(first, second)


def test_it_is_exported_and_costed() -> None:
    restorer = restorer_of(DENOISER).float()
    image, sigma = torch.rand(1, 1, 6, 8), torch.tensor([25.0])
    program = torch.export.export(restorer, (image,), {"sigma": sigma}).module()
    with torch.no_grad():
        torch.testing.assert_close(program(image, sigma=sigma), restorer(image, sigma=sigma))


# Over pictures.


@given(height=st.integers(20, 40), width=st.integers(20, 40))
def test_tiles_with_a_map_give_what_the_whole_gives(height: int, width: int) -> None:
    restorer = restorer_of(DENOISER)
    image, levels = torch.rand(1, 1, height, width, dtype=torch.float64), 255 * torch.rand(height, width)
    radius = restorer.spec.encoder.config.receptive_field()
    in_tiles = restore_tensor(restorer, image, tiling=Tiling(8, radius, 2), conditions={"sigma": levels})
    with torch.no_grad():
        torch.testing.assert_close(in_tiles, restorer(image, sigma=levels).clamp(0, 1))


def test_pictures_of_every_kind_are_restored_with_it(weights: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9), dtype=np.uint8)
    with torch.no_grad():
        expected = load(weights)(torch.from_numpy(pixels)[None, None] / 255, sigma=40).clamp(0, 1)
    levels = np.round(expected[0, 0].numpy() * 255).astype(np.uint8)
    assert np.array_equal(toolbox.restore(pixels, weights, sigma=40), levels)
    assert np.array_equal(toolbox.restore(pixels, weights, sigma=np.full((8, 9), 40.0)), levels)
    assert np.array_equal(toolbox.restore(torch.from_numpy(pixels), weights, sigma=40).numpy(), levels)
    Image.fromarray(pixels).save(tmp_path / "noisy.png")
    toolbox.restore(tmp_path / "noisy.png", weights, output=tmp_path / "clean.png", sigma=40)
    with Image.open(tmp_path / "clean.png") as clean:
        assert np.array_equal(np.asarray(clean), levels)


# In training and in scoring.


def test_a_batch_has_what_degradations_tell(tmp_path: Path) -> None:
    chain = [{"name": "gaussian-noise", "sigma": [5, 50]}, "eight-bits"]
    recipe = recipe_of(write_pictures(tmp_path / "data", side=64), model=DENOISER, degradation=chain, patch=48, batch=6)
    batch = Batches(recipe, pictures_of(recipe, tmp_path / "run"))[0]
    sigmas = batch.conditions["sigma"]
    assert sigmas.shape == (6,)
    assert len(set(sigmas.tolist())) == 6
    spread = 255 * (batch.degraded - batch.clean).flatten(1).std(1)  # cut at black and white
    assert torch.corrcoef(torch.stack((spread, sigmas)))[0, 1] > 0.95
    module = TrainedModule(restorer_of(DENOISER).float(), lambda given: given.conditions["sigma"].sum())  # type: ignore[arg-type]
    loss, _ = module(batch.degraded, batch.clean, None, batch.conditions)
    assert loss == sigmas.sum()


def test_what_nothing_tells_is_missed_before_a_run_starts(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data")
    recipe = recipe_of(data, model=DENOISER, degradation=[{"name": "jpeg", "quality": 50}])
    with pytest.raises(TrainingError, match=r"^the network wants to know sigma, but what is done to pictures tells"):
        Batches(recipe, pictures_of(recipe, tmp_path / "run")).check()


def test_a_protocol_tells_its_noise_and_what_its_plugin_says(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, count=1)
    protocol, restorer = installed().protocols["denoise-gray"], restorer_of(DENOISER).float()
    (case,) = find_cases(folder, protocol)
    sample = read_sample(case, protocol, 35)
    assert sample.conditions == {"sigma": 35}
    _, restored = score_picture(restorer, "0.png", sample, protocol)
    with torch.no_grad():
        torch.testing.assert_close(restored, restorer(sample.degraded, sigma=35).clamp(0, 1))
    patches = dataclasses.replace(protocol, patches=(8, 8))
    assert score_picture(restorer, "0.png", sample, patches)[1].shape == restored.shape
    own = dataclasses.replace(protocol, conditions={"quality": 30.0})
    assert read_sample(case, own, 35).conditions == {"quality": 30.0, "sigma": 35}


def test_a_protocol_that_does_not_tell_is_refused_before_anything_is_restored(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, count=1)
    protocol = dataclasses.replace(installed().protocols["denoise-gray"], noise_seed=None, same_size_pairs=True)
    cases = find_cases(folder, protocol, str(folder))
    with pytest.raises(SpecError, match=r"^model 'told' needs sigma, but denoise-gray tells nothing$"):
        find_jobs({"told": restorer_of(DENOISER)}, cases, protocol)
    assert isinstance(read_sample(cases[0], protocol, 0), Sample)
