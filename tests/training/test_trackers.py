"""Trackers get the log of a run: those of accelerate, each where its package is installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from accelerate import tracking as accelerate_tracking
from PIL import Image

from tests.training.runs import recipe_of, write_pictures
from toolbox.errors import SpecError, TrainingError
from toolbox.training import trackers
from toolbox.training.loop import train
from toolbox.training.trackers import TRACKERS, chosen, is_installed, log_picture

PICTURES = {"folder": "photos", "protocol": "denoise-gray", "every": 0.5}


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(step: int = 10, **changes: Any) -> Path:
    """Train that many steps with validation, and go on from what is there; gives the run's folder."""
    folder = Path("runs", "mine")
    folder.mkdir(parents=True, exist_ok=True)
    recipe = recipe_of(write_pictures(Path("photos")), budget={"steps": step}, validation=PICTURES, **changes)
    assert train(recipe, folder, "net") is not None
    return folder


class Fake(accelerate_tracking.GeneralTracker):  # type: ignore[misc]  # accelerate has no annotations
    """A tracker of accelerate that writes into a list."""

    name = "trackio"
    requires_logging_directory = False
    calls: list[Any]

    def __init__(self, project: str, **settings: Any) -> None:
        super().__init__()
        self.calls.append(("new", project, settings))

    @property
    def tracker(self) -> None:
        return None

    def start(self) -> None:
        sys.stdout.write("hello")
        self.calls.append("start")

    def log(self, values: dict[str, Any], step: int | None = None, **more: Any) -> None:
        self.calls.append(step)

    def finish(self) -> None:
        self.calls.append("finish")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The calls of a tracker that stands in for Trackio's."""
    calls: list[Any] = []
    monkeypatch.setattr(Fake, "calls", calls, raising=False)
    monkeypatch.setitem(accelerate_tracking.LOGGER_TYPE_TO_CLASS, "trackio", Fake)
    available = accelerate_tracking.get_available_trackers()
    if not is_installed("trackio"):
        monkeypatch.setattr(
            accelerate_tracking, "_available_trackers", [*available, accelerate_tracking.LoggerType.TRACKIO]
        )
    return calls


def test_tensorboard_is_the_usual_one_and_gets_scalars_and_pictures() -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert chosen(None) == ["tensorboard"]
    events = EventAccumulator(str(run() / "tensorboard" / "net"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [5, 10, 10]
    assert [event.step for event in events.Scalars("validation")] == [5, 10]
    assert [picture.step for picture in events.Images("validation")] == [5, 10]
    assert all(picture.width > picture.height for picture in events.Images("validation"))


def test_another_tracker_gets_the_recipe_and_every_row(fake: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    run(trackers="trackio")
    new, *rest = fake
    assert new[:2] == ("new", "net")
    assert (new[2]["name"], new[2]["resume"]) == ("mine", "never")
    assert json.dumps(new[2]["config"])
    assert new[2]["config"]["patch"] == 8
    assert rest == ["start", 5, 10, 10, "finish"]  # a row every ten steps, and one at each score
    assert capsys.readouterr().out == ""  # which may be for a program
    assert not Path("runs", "mine", "tensorboard").exists()


def test_a_tracker_without_pictures_gets_none(fake: list[Any]) -> None:
    log_picture(Fake("net"), "validation", Image.new("RGB", (8, 6)), 5)
    assert len(fake) == 1


def test_a_tracker_ends_with_a_run_that_fails(fake: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> float:
        raise TrainingError("the score cannot be made")

    monkeypatch.setattr("toolbox.training.loop.mean_score", fail)
    with pytest.raises(TrainingError, match=r"^the score cannot be made$"):
        run(trackers="trackio")
    assert fake[-1] == "finish"


def test_a_tracker_that_cannot_start_is_told_in_a_sentence(fake: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Fake) -> None:
        raise RuntimeError("no account\nlog in first")

    monkeypatch.setattr(Fake, "start", refuse)
    sentence = r"^trackio: a tracker cannot start: no account; repair that, or change `trackers`$"
    with pytest.raises(TrainingError, match=sentence):
        run(trackers="trackio")


def test_trackers_change_no_weights_and_nothing_that_is_resumed() -> None:
    run(4, trackers=[])
    first = Path("runs", "mine", "checkpoint.safetensors").read_bytes()
    recipe = recipe_of(Path("photos"), budget={"steps": 4}, validation=PICTURES)
    trained = train(recipe, Path("runs", "mine"), "net", resume=True)
    assert trained is not None
    assert trained.run.state.progress.step == 4
    run(4)
    again = Path("runs", "mine", "checkpoint.safetensors").read_bytes()
    assert first[-1000:] == again[-1000:]  # tensors; the header has the time


def test_without_tensorboard_a_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trackers, "get_available_trackers", list)
    folder = run(4)
    sentence = (
        "TensorBoard is not installed, so only log.csv is written; `pip install 'toolbox-restoration[tensorboard]'`"
    )
    assert sentence in capsys.readouterr().err
    assert (folder / "log.csv").exists()
    assert not (folder / "tensorboard").exists()
    run(4, trackers=[])
    assert "TensorBoard" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ("tensorbord", r"^trackers\.0: got 'tensorbord', expected one of .*; did you mean 'tensorboard'\?$"),
        (
            ["wandb_"],
            r"^trackers\.0: got 'wandb_', expected one of tensorboard, trackio, wandb; did you mean 'wandb'\?$",
        ),
        ("mlflow", r"^trackers\.0: got 'mlflow', expected one of tensorboard, trackio, wandb; choose another$"),
        (5, r"^trackers: got 5, expected "),
    ],
)
def test_a_name_that_is_no_tracker_s_is_refused(names: Any, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        recipe_of(Path("photos"), trackers=names)


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_that_is_not_installed_is_refused_with_what_installs_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "get_available_trackers", list)
    sentence = rf"^trackers\.0: tracker '{name}' needs a package .*; pip install 'toolbox-restoration\[{name}\]'$"
    with pytest.raises(SpecError, match=sentence):
        recipe_of(Path("photos"), trackers=name)


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_the_real_ones_work_offline(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when it is imported
    pytest.importorskip(name, reason=f"{name} is an extra that is not installed")
    folder = run(trackers=name)
    assert capsys.readouterr().out == ""
    assert list((folder / "wandb").glob("offline-run-*") if name == "wandb" else (tmp_path / "trackio").glob("*.db"))
