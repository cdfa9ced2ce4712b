"""What a run begins with, keeps, and goes on from."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.training.runs import IMPLICIT, cut_before, implicit_recipe, recipe_of, same, write_pictures
from toolbox.errors import TrainingError
from toolbox.evaluation.metrics import metric
from toolbox.restorer import Restorer
from toolbox.training import loop
from toolbox.training.card import finish
from toolbox.training.loop import BEST, CHECKPOINT, Trained, train
from toolbox.training.optimization import TICKS, create_schedule, rate_of
from toolbox.training.recipe import Recipe
from toolbox.training.run import build_run
from toolbox.training.validation import MeanScore
from toolbox.weights.file import load, save

VALIDATION = {"protocol": "denoise-gray", "every": 0.25}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "data")


@pytest.fixture(autouse=True)
def _saves_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)


def run(recipe: Recipe, folder: Path, **options: Any) -> Trained:
    folder.mkdir(exist_ok=True)
    trained = train(recipe, folder, "run", **options)
    assert trained is not None
    return trained


def rates(folder: Path) -> dict[int, float]:
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        return {int(row["step"]): float(row["learning_rate"]) for row in csv.DictReader(file)}


# Beginning with a part, freezing one, learning rates of each.


def test_an_encoder_goes_on_under_another_decoder(data: Path, tmp_path: Path) -> None:
    trained = Restorer(recipe_of(data).model)
    save(trained, tmp_path / "trained.safetensors")
    weights = {"file": str(tmp_path / "trained.safetensors"), "only": "encoder"}
    recipe = recipe_of(data, model={"decoder": {"name": "conv"}}, weights=weights, freeze=["encoder"], seed=3)
    ended = run(recipe, tmp_path / "run").restorer
    assert same(ended.encoder.state_dict(), trained.encoder.state_dict())  # statistics of batch norm, too
    fresh = build_run(recipe, tmp_path / "run").restorer.decoder.state_dict()
    assert all(not torch.equal(ended.decoder.state_dict()[name], value) for name, value in fresh.items())


def test_a_single_layer_can_be_frozen(data: Path, tmp_path: Path) -> None:
    recipe = recipe_of(data, freeze=["decoder.conv"])
    before = {name: value.clone() for name, value in build_run(recipe, tmp_path).restorer.state_dict().items()}
    after = run(recipe, tmp_path / "run").restorer.state_dict()
    kept = {name for name in before if torch.equal(before[name], after[name])}
    assert kept == {"decoder.conv.weight", "decoder.conv.bias"}


def test_each_part_has_its_rate_and_all_follow_the_schedule(data: Path, tmp_path: Path) -> None:
    settings = {"lr": 0.01, "rates": {"encoder": 0.001, "encoder.stem": 0.02}, "weight_decay": 0.1}
    made = build_run(recipe_of(data, optimizer=settings), tmp_path)
    names = {parameter: name for name, parameter in made.restorer.named_parameters()}
    schedule = create_schedule(made.recipe.schedule, 0.01, made.state.optimizer)
    schedule.step(TICKS // 2)
    rate = rate_of(made.state.optimizer)
    assert 0.001 < rate < 0.01
    for group in made.state.optimizer.param_groups:
        for parameter in group["params"]:
            name = names[parameter]
            own = 0.02 if name.startswith("encoder.stem") else 0.001 if name.startswith("encoder.") else 0.01
            assert group["lr"] == pytest.approx(rate * own / 0.01), name


def test_a_run_with_rates_and_what_a_loss_trains_is_resumed_to_the_same(data: Path, tmp_path: Path) -> None:
    save(Restorer(implicit_recipe(data).model), tmp_path / "teacher.safetensors")
    distill = {"name": "distill", "teacher": str(tmp_path / "teacher.safetensors"), "match": "features", "weight": 0.5}
    recipe = implicit_recipe(
        data,
        loss=["l1", distill],
        optimizer={"rates": {"encoder": 0.0005, "loss": 0.01}},
        freeze=["encoder.head"],
        budget={"steps": 8},
        seed=1,
    )
    whole = run(recipe, tmp_path / "whole")
    kept = load_file(tmp_path / "whole" / CHECKPOINT)
    assert {name for name in kept if name.startswith("loss.")} == {
        "loss.trained.1.projection.weight",
        "loss.trained.1.projection.bias",
    }

    with cut_before(5):
        run(recipe, tmp_path / "cut")
    resumed = run(recipe, tmp_path / "cut", resume=True)
    assert same(resumed.restorer.state_dict(), whole.restorer.state_dict())
    again = load_file(tmp_path / "cut" / CHECKPOINT)
    assert same({name: again[name] for name in kept}, kept)


# The best beside the last.


def scored_by(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    """The scores that validation will find, one after the other."""
    scores = iter(values)
    monkeypatch.setattr(loop, "mean_score", lambda *_: MeanScore(next(scores), (2.0, 3.0)))


@pytest.mark.parametrize(("higher_is_better", "best"), [(True, (30.0, 6)), (False, (27.0, 9))])
def test_the_best_score_s_weights_are_kept_beside_the_last(
    higher_is_better: bool, best: tuple[float, int], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leading = dataclasses.replace(metric("psnr"), higher_is_better=higher_is_better)
    for module in ("loop", "card", "record"):
        monkeypatch.setattr(f"toolbox.training.{module}.leading_metric", lambda _: leading)
    scored_by(monkeypatch, 28.0, 30.0, 27.0, 29.0)
    recipe = recipe_of(data, validation={**VALIDATION, "folder": str(data)})
    trained = run(recipe, tmp_path / "run")
    progress = trained.run.state.progress
    assert (progress.best, progress.best_step, progress.validation) == (*best, 29.0)
    kept = load(tmp_path / "run" / BEST)
    assert (kept.training_record["steps"], kept.training_record["psnr"]["data"]) == (best[1], best[0])
    again = run(recipe_of(data, budget={"steps": 12}), tmp_path / "other")
    assert not same(kept.state_dict(), again.restorer.state_dict())
    finish(trained, "mine")
    card = (tmp_path / "run" / "mine.md").read_text(encoding="utf-8")
    assert f"The best score of the run, {best[0]:.2f} dB after {best[1]} steps, is that of `{BEST}`." in card


def test_a_card_names_the_scales_that_a_score_is_the_mean_of(data: Path, tmp_path: Path) -> None:
    scored = {"folder": str(data), "protocol": "liif-benchmark", "scales": [2, 3], "every": 1}
    trained = run(implicit_recipe(data, validation=scored, budget={"steps": 2}), tmp_path / "run")
    finish(trained, "mine")
    card = (tmp_path / "run" / "mine.md").read_text(encoding="utf-8")
    assert "| data | liif-benchmark, ×2, ×3 | " in card
    assert load(tmp_path / "run" / "mine.safetensors").training_record["scales"] == [2, 3]
    assert "The best score" not in card  # it is the last one


# A finished run goes on.


def test_a_finished_run_goes_on_with_a_larger_budget(data: Path, tmp_path: Path) -> None:
    constant = {"schedule": {"name": "constant", "warmup": 0}}
    whole = run(recipe_of(data, budget={"steps": 20}, **constant), tmp_path / "whole")
    run(recipe_of(data, budget={"steps": 12}, **constant), tmp_path / "extended")
    extended = run(recipe_of(data, budget={"steps": 20}, **constant), tmp_path / "extended", resume=True)
    assert same(extended.restorer.state_dict(), whole.restorer.state_dict())
    again = run(recipe_of(data, budget={"steps": 20}, **constant), tmp_path / "extended", resume=True)
    assert same(again.restorer.state_dict(), whole.restorer.state_dict())
    with pytest.raises(TrainingError, match=r"budget\.steps was 20, is 12"):
        run(recipe_of(data, budget={"steps": 12}, **constant), tmp_path / "extended", resume=True)


@pytest.mark.parametrize(
    ("extended", "at_30", "at_40"),
    # Of a rate that falls from 1 to 0, step by step: anew over the added 20 steps, or in the second half of all 40.
    [("restart", 1 - 9 / 20, 1 - 19 / 20), ("stretch", 1 - 29 / 40, 1 - 39 / 40)],
)
def test_the_schedule_says_how_it_goes_on(
    extended: str, at_30: float, at_40: float, data: Path, tmp_path: Path
) -> None:
    schedule = {"name": "poly", "decay": 1, "warmup": 0, "final": 0, "extended": extended}
    more: dict[str, Any] = {"schedule": schedule, "optimizer": {"lr": 1.0}, "batch": 1}
    run(recipe_of(data, budget={"steps": 20}, **more), tmp_path / "run")
    run(recipe_of(data, budget={"steps": 40}, **more), tmp_path / "run", resume=True)
    found = rates(tmp_path / "run")
    assert [found[step] for step in (10, 20, 30, 40)] == pytest.approx([1 - 9 / 20, 1 - 19 / 20, at_30, at_40])


def test_a_run_that_has_not_ended_keeps_its_budget(data: Path, tmp_path: Path) -> None:
    with cut_before(5):
        run(recipe_of(data), tmp_path / "run")
    with pytest.raises(TrainingError, match=r"budget\.steps was 12, is 20"):
        run(recipe_of(data, budget={"steps": 20}), tmp_path / "run", resume=True)


# A refused resume.


def test_a_refused_resume_decodes_nothing_and_leaves_nothing_behind(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    run(recipe_of(data), folder).run.pictures.remove()
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    monkeypatch.setattr("toolbox.datasets.folders.read_pixels", lambda path: pytest.fail("decoded"))
    with pytest.raises(TrainingError, match="cannot continue with another recipe: batch was 2, is 3"):
        run(recipe_of(data, batch=3), folder, resume=True)
    (data / "0.png").unlink()
    with pytest.raises(TrainingError, match="cannot continue with another recipe: pictures was"):
        run(recipe_of(data), folder, resume=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_recipe_has_of_paths_the_names_alone(data: Path, tmp_path: Path) -> None:
    save(Restorer(implicit_recipe(data).model), tmp_path / "teacher.safetensors")
    recipe = implicit_recipe(
        data, model=dict(IMPLICIT), loss={"name": "distill", "teacher": str(tmp_path / "teacher.safetensors")}
    )
    plain = recipe.plain(names_alone=True, exclude={"model"})
    assert plain["data"] == [{"name": "pictures", "folder": "data"}]
    assert plain["loss"] == [{"name": "distill", "teacher": "teacher.safetensors", "match": "output"}]
    assert str(tmp_path) not in str(plain)
