"""The training loop: it learns, and nothing that happens to a run changes what it ends with."""

from __future__ import annotations

import csv
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.training.runs import NLRN, cut_before, implicit_recipe, recipe_of, same, write_pictures
from toolbox.errors import TrainingError, WeightsError
from toolbox.restorer import Restorer
from toolbox.training import loop
from toolbox.training.data import Batch
from toolbox.training.loop import CHECKPOINT, passed, stop_signals, train
from toolbox.training.recipe import Recipe
from toolbox.training.record import training_record
from toolbox.training.run import initial
from toolbox.training.step import take_step
from toolbox.weights.file import save


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "data")


@pytest.fixture(autouse=True)
def _saves_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)


def run(recipe: Recipe, folder: Path, **options: Any) -> dict[str, Tensor] | None:
    """The weights that a run ends with, copied; None if it was stopped."""
    folder.mkdir(exist_ok=True)
    trained = train(recipe, folder, "run", **options)
    return None if trained is None else {k: v.clone() for k, v in trained.restorer.state_dict().items()}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run_cut_before(step: int, recipe: Recipe, folder: Path) -> None:
    """A run that ends by an exception when that many steps were taken."""
    with cut_before(step):
        run(recipe, folder)


@pytest.fixture
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """As many threads as the parameter says: the order in which they add decides how sums round."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


RECIPES: dict[str, dict[str, Any]] = {
    "adam": {},
    "momentum, many scales": {
        "optimizer": {"name": "sgd", "lr": 0.01},
        "schedule": {"name": "multistep", "milestones": [0.3, 0.6]},
    },
    "state in the groups": {"optimizer": {"name": "lamb", "lr": 1e-3, "weight_decay": 0.1}},
    "drawn scales, points": {"scale": {"between": [1, 3]}, "points": 20},
}


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize(
    ("name", "_threads"), [*((name, 1) for name in RECIPES), ("adam", 2), ("adam", 3)], indirect=["_threads"]
)
def test_a_run_that_was_cut_ends_as_one_that_was_not(name: str, data: Path, tmp_path: Path) -> None:
    make = recipe_of if name == "adam" else implicit_recipe
    recipe = make(data, **RECIPES[name])
    expected = run(recipe, tmp_path / "whole")
    run_cut_before(7, recipe, tmp_path / "cut")
    resumed = run(recipe, tmp_path / "cut", resume=True)
    assert expected is not None
    assert resumed is not None
    assert same(resumed, expected)
    assert [(row["step"], row["loss"], row["learning_rate"]) for row in rows(tmp_path / "cut")] == [
        (row["step"], row["loss"], row["learning_rate"]) for row in rows(tmp_path / "whole")
    ]


def _train_quickly(recipe: Recipe, folder: Path) -> None:
    torch.set_num_threads(1)
    loop.SAVE_EVERY = 0.0
    run(recipe, folder, resume=True)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("_threads", [1], indirect=True)  # as in the processes that are killed
def test_killed_at_any_moment_it_goes_on_to_the_same_weights(data: Path, tmp_path: Path) -> None:
    recipe = recipe_of(data, budget={"steps": 60})
    expected = run(recipe, tmp_path / "whole")
    processes = multiprocessing.get_context("forkserver")  # imports once, then forks
    processes.set_forkserver_preload(["tests.training.test_loop", "torch.utils.tensorboard"])
    kills, steps = 0, [0]
    folder = tmp_path / "killed"
    while kills < 12:
        process = processes.Process(target=_train_quickly, args=(recipe, folder))
        process.start()
        assert process.pid is not None
        started = time.monotonic()
        while not (folder / CHECKPOINT).exists() and process.is_alive() and time.monotonic() - started < 60:
            time.sleep(0.005)
        time.sleep(kills / 50)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        if process.exitcode == 0:  # it was done before it was killed
            break
        kills += 1
        with safe_open(folder / CHECKPOINT, "pt") as file:  # never half of one
            steps.append(int(file.metadata()["progress"].split(",")[0].split(":")[1]))
    assert kills >= 3
    assert steps == sorted(steps)
    resumed = run(recipe, folder, resume=True)
    assert resumed is not None
    assert expected is not None
    assert same(resumed, expected)
    run_rows = [int(row["step"]) for row in rows(folder)]
    assert run_rows == sorted(set(run_rows))
    assert not list(folder.glob(".*partial*"))


def test_a_finished_run_started_again_returns_the_same_and_trains_no_more(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(data)
    expected = run(recipe, tmp_path / "run")
    monkeypatch.setattr(loop, "take_step", lambda *arguments: pytest.fail("trained again"))
    again = run(recipe, tmp_path / "run", resume=True)
    assert expected is not None
    assert again is not None
    assert same(again, expected)


def test_runs_differ_by_their_seed_alone_and_leave_the_random_state(data: Path, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    first = run(recipe_of(data), tmp_path / "a")
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    second = run(recipe_of(data), tmp_path / "b", workers=1)
    other = run(recipe_of(data, seed=1), tmp_path / "c")
    assert first is not None
    assert second is not None
    assert other is not None
    assert same(first, second)
    assert not same(first, other)


def test_training_learns(data: Path, tmp_path: Path) -> None:
    recipe = recipe_of(data, budget={"steps": 100}, batch=4, optimizer={"lr": 0.02}, degradation={"sigma": 50})
    run(recipe, tmp_path / "run")
    losses = [float(row["loss"]) for row in rows(tmp_path / "run")]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("loss", ["mse", "l1", "charbonnier"])
def test_every_loss_trains(loss: str, data: Path, tmp_path: Path) -> None:
    assert run(implicit_recipe(data, loss=loss, budget={"steps": 2}), tmp_path / "run")


def test_the_first_values_are_scaled(data: Path) -> None:
    torch.manual_seed(0)
    plain = Restorer(recipe_of(data).model).decoder.conv.weight
    torch.manual_seed(0)
    scaled = initial(recipe_of(data, start={"decoder.conv.weight": 0.05})).decoder.conv.weight
    torch.testing.assert_close(scaled, 0.05 * plain)


def test_a_run_begins_with_the_weights_of_a_file(data: Path, tmp_path: Path) -> None:
    trained = Restorer(recipe_of(data).model)
    save(trained, tmp_path / "trained.safetensors")
    recipe = recipe_of(data, weights=str(tmp_path / "trained.safetensors"), seed=1)
    assert same(initial(recipe).state_dict(), trained.state_dict())

    (tmp_path / "run").mkdir()
    ended = train(recipe, tmp_path / "run", "run")
    assert ended is not None
    assert training_record(ended.run)["recipe"]["weights"] == {"file": "trained.safetensors"}


def test_the_network_is_returned_averaged_and_ready_to_use(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    trained = train(recipe_of(data), tmp_path / "run", "run")
    assert trained is not None
    assert not trained.restorer.training
    tensors = load_file(tmp_path / "run" / CHECKPOINT)
    assert {key.split(".")[0] for key in tensors} == {"model", "average", "optimizer"}
    average = {key.removeprefix("average."): value for key, value in tensors.items() if key.startswith("average.")}
    assert same(average, trained.restorer.state_dict())
    assert not same(average, {key: tensors[f"model.{key}"] for key in average})


def test_without_an_average_the_last_weights_are_returned(data: Path, tmp_path: Path) -> None:
    weights = run(recipe_of(data, average=0), tmp_path / "run")
    tensors = load_file(tmp_path / "run" / CHECKPOINT)
    assert weights is not None
    assert same(weights, {key: tensors[f"model.{key}"] for key in weights})


def test_a_budget_in_minutes_ends_and_counts_the_time_before_an_interruption(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(10**9))
    monkeypatch.setattr(loop, "time", type("Clock", (), {"monotonic": staticmethod(lambda: next(ticks))}))
    recipe = recipe_of(data, budget={"steps": None, "minutes": 0.2})  # a step takes one second
    run_cut_before(5, recipe, tmp_path / "run")
    assert run(recipe, tmp_path / "run", resume=True)
    assert [row["step"] for row in rows(tmp_path / "run")] == ["10", "12"]
    assert float(rows(tmp_path / "run")[-1]["minutes"]) == pytest.approx(0.2)


CHANGED = [
    ({"optimizer": {"lr": 0.002}}, r"optimizer\.lr was 0\.001, is 0\.002"),
    ({"budget": {"steps": 8}}, r"budget\.steps was 12, is 8"),
    ({"model": {"encoder": {"steps": 3}}}, r"model\.encoder\.steps was 2, is 3"),
    ({"degradation": {"sigma": 30}}, r"degradation was \[\{.*25.*\}\], is \[\{.*30.*\}\]"),
    ({"clip": {"norm": 1}}, r"clip was None, is \{.*\}"),
]


@pytest.mark.parametrize(("change", "sentence"), CHANGED, ids=[str(change)[:30] for change, _ in CHANGED])
def test_a_changed_recipe_is_not_resumed(change: dict[str, Any], sentence: str, data: Path, tmp_path: Path) -> None:
    run(recipe_of(data), tmp_path / "run")
    before = (tmp_path / "run" / CHECKPOINT).read_bytes()
    with pytest.raises(
        TrainingError, match=rf"{CHECKPOINT}: cannot continue with another recipe: {sentence}; use the settings that"
    ):
        run(recipe_of(data, **change), tmp_path / "run", resume=True)
    assert (tmp_path / "run" / CHECKPOINT).read_bytes() == before


def test_other_pictures_are_not_resumed_but_moved_ones_are(data: Path, tmp_path: Path) -> None:
    first = run(recipe_of(data), tmp_path / "run")
    moved = data.rename(tmp_path / "moved")
    again = run(recipe_of(moved), tmp_path / "run", resume=True)
    assert first is not None
    assert again is not None
    assert same(first, again)
    (moved / "0.png").unlink()
    with pytest.raises(TrainingError, match=r"pictures was '\w{16}', is '\w{16}'"):
        run(recipe_of(moved), tmp_path / "run", resume=True)


def test_a_file_that_is_no_checkpoint_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / CHECKPOINT).write_bytes(b"\x80\x04pickled")
    with pytest.raises(WeightsError, match=rf"{CHECKPOINT}: not a readable safetensors file"):
        run(recipe_of(data), tmp_path / "run", resume=True)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 1e9])
def test_a_broken_loss_stops_and_names_step_rate_and_files(
    wrong: float, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Batch] = []
    take = take_step

    def broken(*arguments: Any) -> tuple[float, float]:
        seen.extend(arguments[-1])
        loss, error = take(*arguments)
        return (wrong, error) if len(seen) == 6 else (loss, error)

    monkeypatch.setattr(loop, "take_step", broken)
    with pytest.raises(
        TrainingError, match=r"^step 6: got a loss of .*, expected about 0\.\d+ .* rate 0\.000\d+ "
    ) as e:
        run(recipe_of(data), tmp_path / "run")
    assert all(file in str(e.value) for file in seen[-1].files)
    with safe_open(tmp_path / "run" / CHECKPOINT, "pt") as file:
        assert '"step": 5' in file.metadata()["progress"]


def test_broken_weights_are_never_saved(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take, taken = take_step, iter(range(10**6))

    def breaks_the_weights(recipe: Any, accelerator: Any, module: Any, *rest: Any) -> Any:
        result = take(recipe, accelerator, module, *rest)
        if next(taken) == 4:
            next(module.parameters()).data.fill_(math.nan)
        return result

    monkeypatch.setattr(loop, "take_step", breaks_the_weights)
    with pytest.raises(TrainingError, match=r"^step \d: got a loss of nan"):
        run(recipe_of(data), tmp_path / "run")
    assert all(tensor.isfinite().all() for tensor in load_file(tmp_path / "run" / CHECKPOINT).values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_stops_and_the_run_goes_on_to_the_same(
    number: signal.Signals, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 1e9)
    recipe = recipe_of(data)
    expected = run(recipe, tmp_path / "whole")
    take, taken = take_step, iter(range(10**6))

    def signalled(*arguments: Any) -> Any:
        if next(taken) == 4:
            os.kill(os.getpid(), number)
        return take(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "take_step", signalled)
        assert run(recipe, tmp_path / "run") is None
    with safe_open(tmp_path / "run" / CHECKPOINT, "pt") as file:
        assert '"step": 5' in file.metadata()["progress"]
    resumed = run(recipe, tmp_path / "run", resume=True)
    assert resumed is not None
    assert expected is not None
    assert same(resumed, expected)


def test_a_second_ctrl_c_interrupts_and_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)

    def twice() -> None:
        with stop_signals() as stopped:
            os.kill(os.getpid(), signal.SIGINT)
            assert stopped.wait(5)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        twice()
    assert signal.getsignal(signal.SIGINT) == before


def test_in_a_thread_signals_are_left_to_the_main_thread() -> None:
    seen: list[object] = []

    def target() -> None:
        with stop_signals():
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    assert seen == [before]


def test_validation_comes_at_its_fractions_of_the_budget(data: Path, tmp_path: Path) -> None:
    validation = {"folder": str(data), "protocol": "denoise-gray", "every": 0.5}
    recipe = recipe_of(data, validation=validation)
    assert run(recipe, tmp_path / "run")
    scored = [(row["step"], float(row["validation"])) for row in rows(tmp_path / "run") if row["validation"]]
    assert [step for step, _ in scored] == ["6", "12"]
    assert all(10 < score < 40 for _, score in scored)
    without = run(recipe_of(data), tmp_path / "without")
    again = load_file(tmp_path / "run" / CHECKPOINT)
    assert without is not None
    assert same(without, {key: again[f"average.{key}"] for key in without})  # scoring changes nothing


def test_a_run_that_has_ended_is_scored_when_it_is_resumed_with_a_validation(data: Path, tmp_path: Path) -> None:
    ended = run(recipe_of(data), tmp_path / "run")
    validation = {"folder": str(data), "protocol": "denoise-gray"}
    trained = train(recipe_of(data, validation=validation), tmp_path / "run", "run", resume=True)
    assert ended is not None
    assert trained is not None
    assert trained.run.state.progress.validation is not None
    assert 10 < trained.run.state.progress.validation < 40
    assert same(ended, trained.restorer.state_dict())


def test_fractions_are_passed_once() -> None:
    steps = [number / 37 for number in range(38)]
    assert sum(passed(0.1, before, after) for before, after in pairwise(steps)) == 10
    assert passed(0.5, 0.4, 1.0)
    assert not passed(0.5, 0.5, 0.9)


def test_a_full_disk_is_reported_and_the_checkpoint_survives(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolbox.training import checkpoint

    saves, save = iter(range(10**6)), save_file

    def full(tensors: Any, path: Path, metadata: Any) -> None:
        if next(saves) == 5:
            raise OSError(28, "No space left on device")
        save(tensors, path, metadata)

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(TrainingError, match=r"checkpoint cannot be written: .*No space left.*; the last one is intact"):
        run(recipe_of(data), tmp_path / "run")
    with safe_open(tmp_path / "run" / CHECKPOINT, "pt") as file:
        assert '"step": 5' in file.metadata()["progress"]
    monkeypatch.undo()
    resumed, whole = run(recipe_of(data), tmp_path / "run", resume=True), run(recipe_of(data), tmp_path / "whole")
    assert resumed is not None
    assert whole is not None
    assert same(resumed, whole)


def test_nothing_of_nlrn_is_left_without_a_gradient(data: Path, tmp_path: Path) -> None:
    run(recipe_of(data, model=dict(NLRN)), tmp_path / "run")
    tensors = load_file(tmp_path / "run" / CHECKPOINT)
    torch.manual_seed(0)
    start = initial(recipe_of(data))
    assert all(not torch.equal(tensors[f"model.{name}"], value) for name, value in start.named_parameters())
