"""One step: what is asked of the network, the loss, and the clipping of gradients."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.learning import assert_learns
from tests.parts import DECODERS, restorer_of
from tests.training.runs import IMPLICIT, NLRN, implicit_recipe, pictures_of, recipe_of, write_pictures
from toolbox.discovery import installed
from toolbox.learning import LossInput
from toolbox.points import at_points, decode_at
from toolbox.restorer import Restorer
from toolbox.training.data import Batches
from toolbox.training.losses import WeightedLosses
from toolbox.training.settings import Clip
from toolbox.training.step import TrainedModule, by_state, clip, take_step

IMPLICIT_DECODERS = sorted(
    name for name in DECODERS if hasattr(installed().components["decoder"][name].factory, "query")
)


@given(
    size=st.tuples(st.integers(5, 12), st.integers(5, 12)),
    skip=st.sampled_from(["none", "bicubic", "bilinear", "nearest"]),
    decoder=st.sampled_from(IMPLICIT_DECODERS),
)
def test_points_are_pixels_of_the_whole_picture(size: tuple[int, int], skip: str, decoder: str) -> None:
    spec = {**IMPLICIT, "global_skip": skip, "decoder": {"name": decoder, **DECODERS[decoder]}}
    restorer = restorer_of(spec)
    image = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    points = torch.stack([torch.randperm(size[0] * size[1])[:7] for _ in range(2)])
    expected = at_points(restorer(image, size=size), points)
    features = restorer.encode(restorer.pad(image))
    torch.testing.assert_close(decode_at(restorer, features, image, size, points), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("decoder", IMPLICIT_DECODERS)
def test_a_sample_of_points_is_enough_to_learn(decoder: str) -> None:
    spec, rate = {**IMPLICIT, "decoder": {"name": decoder, **DECODERS[decoder]}}, 1e-2
    if decoder == "heat-field":  # sines learn what the nearest pixel lacks, as published
        spec |= {"global_skip": "nearest", "encoder": {"name": "edsr", "channels": 16, "blocks": 1}}
        rate = 5e-3
    assert_learns(spec, scale=2, rate=rate, points=64)


def test_points_are_numbered_row_by_row() -> None:
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert at_points(image, torch.tensor([[0, 5, 11]])).tolist() == [[[0, 5, 11]]]


def gradients(network: nn.Module) -> list[Tensor]:
    for number, parameter in enumerate(network.parameters()):
        parameter.grad = torch.full_like(parameter, 0.1 * 10**number)
    return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]


def test_each_tensor_s_gradient_is_clipped_on_its_own() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    before = gradients(network)
    clip(Clip(norm=0.5, of="tensor"), network)
    for parameter, old in zip(network.parameters(), before, strict=True):
        assert parameter.grad is not None
        expected = min(0.5, old.norm().item())
        assert parameter.grad.norm().item() == pytest.approx(expected, rel=1e-4)
        torch.testing.assert_close(F.normalize(parameter.grad, dim=None), F.normalize(old, dim=None))  # type: ignore[arg-type]  # over all


def test_or_all_together() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    before = torch.cat([each.flatten() for each in gradients(network)])
    clip(Clip(norm=0.5, of="all"), network)
    after = torch.cat([parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None])
    torch.testing.assert_close(after, before * 0.5 / before.norm(), rtol=1e-4, atol=1e-7)


def after_a_step(recipe_changes: dict[str, object], folder: Path, parts: int) -> Restorer:
    """A network after one step of plain gradient descent."""
    recipe = implicit_recipe(folder / "data", optimizer={"name": "sgd", "lr": 0.1}, **recipe_changes)
    torch.manual_seed(0)
    restorer = Restorer(recipe.model)
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=recipe.batches)
    module, optimizer = accelerator.prepare(
        TrainedModule(restorer, WeightedLosses(recipe.loss, restorer)), torch.optim.SGD(restorer.parameters(), 0.1)
    )
    batches = Batches(recipe, pictures_of(recipe, folder / "run"))
    take_step(recipe, accelerator, module, optimizer, [batches[number] for number in range(parts)])
    return restorer


def test_several_scales_are_one_step_by_their_mean_loss(tmp_path: Path) -> None:
    write_pictures(tmp_path / "data")
    recipe = implicit_recipe(tmp_path / "data")
    torch.manual_seed(0)
    expected = Restorer(recipe.model)
    batches = Batches(recipe, pictures_of(recipe, tmp_path / "run"))
    losses = [
        F.mse_loss(expected(batch.degraded, size=tuple(batch.clean.shape[2:])), batch.clean)
        for batch in (batches[0], batches[1])
    ]
    ((losses[0] + losses[1]) / 2).backward()
    with torch.no_grad():
        for parameter in expected.parameters():
            assert parameter.grad is not None
            parameter.sub_(0.1 * parameter.grad)
    stepped = after_a_step({}, tmp_path, 2)
    for got, wanted in zip(stepped.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(got, wanted)


def test_accumulated_batches_are_one_larger_batch(tmp_path: Path) -> None:
    write_pictures(tmp_path / "data")
    twice = after_a_step({"scale": 2, "accumulate": 2}, tmp_path, 2)
    by_hand = after_a_step({"scale": {"each": [2, 2]}}, tmp_path, 2)
    for got, wanted in zip(twice.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(got, wanted)


def test_a_step_returns_the_mean_loss_and_squared_error(tmp_path: Path) -> None:
    recipe = recipe_of(write_pictures(tmp_path / "data"), loss="l1", model=dict(NLRN))
    restorer = Restorer(recipe.model)
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=1)
    module, optimizer = accelerator.prepare(
        TrainedModule(restorer, WeightedLosses(recipe.loss, restorer)), torch.optim.SGD(restorer.parameters(), 0.0)
    )
    batch = Batches(recipe, pictures_of(recipe, tmp_path / "run"))[0]
    loss, squared_error = take_step(recipe, accelerator, module, optimizer, [batch])
    restored = restorer(batch.degraded)
    assert loss == pytest.approx(F.l1_loss(restored, batch.clean).item())
    assert squared_error == pytest.approx(F.mse_loss(restored, batch.clean).item())


STATES = {
    "channels": 3,
    "global_skip": "bicubic",
    "encoder": {
        "name": "recurrent",
        "steps": 3,
        "collect": "all",
        "stem": {"name": "convolutions", "channels": [4]},
        "transition": {"name": "encoder", "channels": 4, "encoder": {"name": "convolutions", "channels": [4]}},
    },
    "decoder": "conv",
}


@pytest.mark.parametrize(("state_weight", "weights"), [(1.0, [1, 1, 1]), (0.25, [0.25, 0.25, 1]), (0.0, [0, 0, 1])])
def test_the_loss_of_all_states_is_their_weighted_mean(state_weight: float, weights: list[float]) -> None:
    restorer = restorer_of(STATES).float().train()
    choice = recipe_of([{"name": "pictures", "folder": "."}], model=dict(STATES), loss="l1").loss
    module = TrainedModule(restorer, WeightedLosses(choice, restorer), state_weight)
    degraded, clean = torch.rand(2, 3, 7, 6), torch.rand(2, 3, 7, 6)
    loss, squared_error = module(degraded, clean, None, {})
    by_hand = [F.l1_loss(image, clean) for image in restorer(degraded).split(2)]
    expected = sum(weight * value for weight, value in zip(weights, by_hand, strict=True)) / sum(weights)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(squared_error, F.mse_loss(restorer(degraded)[-2:], clean))


def test_points_and_conditions_are_those_of_every_state() -> None:
    clean, points = torch.rand(2, 3, 5), torch.arange(10).view(2, 5)
    restored, sigma = torch.rand(6, 3, 5), torch.tensor([1.0, 2.0])
    degraded, features = torch.rand(2, 3, 4, 4), torch.rand(2, 8, 4, 4)
    earlier, last = by_state(LossInput(restored, clean, degraded, features, (8, 8), points, {"sigma": sigma}))
    assert earlier is not None
    assert torch.equal(torch.cat((earlier.restored, last.restored)), restored)
    assert torch.equal(earlier.clean, clean.repeat(2, 1, 1))
    assert torch.equal(last.clean, clean)
    assert earlier.points is not None
    assert torch.equal(earlier.points, points.repeat(2, 1))
    assert earlier.conditions["sigma"].tolist() == [1, 2, 1, 2]
    assert torch.equal(last.features, features)


def test_features_of_every_state_go_with_their_images() -> None:
    restored, features = torch.rand(6, 3, 4, 4), torch.rand(6, 8, 4, 4)
    given = LossInput(restored, torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4), features, (4, 4))
    earlier, last = by_state(given)
    assert earlier is not None
    assert torch.equal(earlier.features, features[:4])
    assert torch.equal(last.features, features[4:])
    alone = LossInput(restored, torch.rand(6, 3, 4, 4), torch.rand(6, 3, 4, 4), features, (4, 4))
    assert by_state(alone) == (None, alone)
