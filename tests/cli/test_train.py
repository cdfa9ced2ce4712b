"""``toolbox train``: recipes in, weights files and sentences out."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.torch import load_file

import toolbox
from tests.cli.command import Run
from tests.training.runs import IMPLICIT, recipe_data, write_pictures
from toolbox.training.loop import CHECKPOINT

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_recipe(folder: Path, **changes: Any) -> Path:
    path = folder / "mine.yaml"
    data = write_pictures(folder / "photos")
    path.write_text(yaml.safe_dump(recipe_data(data, **{"budget": {"steps": 4}, **changes})), encoding="utf-8")
    return path


def test_it_trains_and_writes_weights_card_and_picture(run: Run, tmp_path: Path) -> None:
    validation = {"folder": "photos", "protocol": "denoise-gray"}
    recipe = write_recipe(tmp_path, model={"summary": "a tiny network"}, validation=validation)
    result = run("train", recipe)
    folder = tmp_path / "runs" / "mine"
    assert result.code == 0, result
    assert result.out == "wrote runs/mine/mine.safetensors, runs/mine/mine.md, runs/mine/mine.png\n"
    names = {path.name for path in folder.iterdir()}
    assert names == {
        CHECKPOINT,
        "best.safetensors",
        "log.csv",
        "mine.safetensors",
        "mine.md",
        "mine.png",
        "tensorboard",
    }

    record = toolbox.load(folder / "mine.safetensors").training_record
    assert record["pictures"] == "3 of photos"
    assert record["steps"] == 4
    assert record["protocol"] == "denoise-gray"
    assert 5 < record["psnr"]["photos"] < 40
    assert record["recipe"]["optimizer"] == {"name": "adam", "lr": 0.001, "rates": {}, "weight_decay": 0.0}
    assert record["recipe"]["validation"]["folder"] == "photos"
    assert set(record["versions"]) >= {"torch", "toolbox-restoration"}
    assert str(tmp_path) not in json.dumps(record)

    card = (folder / "mine.md").read_text(encoding="utf-8")
    assert "a tiny network" in card
    assert "![degraded, and restored by mine](mine.png)" in card
    assert f"| photos | denoise-gray | {record['psnr']['photos']:.2f} |" in card
    assert yaml.safe_load(card.split("```yaml")[1].split("```")[0]) == record["recipe"]
    with Image.open(folder / "mine.png") as picture:
        assert picture.width > 2 * 24


def test_the_trained_file_restores_and_is_shown(run: Run, tmp_path: Path, photo: Path) -> None:
    recipe = write_recipe(tmp_path, model=dict(IMPLICIT), scale=2, degradation="bicubic", points=9)
    assert run("train", recipe, "--run", "here").code == 0
    assert run("restore", photo, "-o", "out.png", "-m", "here/mine.safetensors", "--scale", "2.5").code == 0
    shown = run("show", "here/mine.safetensors", "--json").data
    assert shown["training"]["recipe"]["points"] == 9


def test_a_dry_run_tells_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, model={"summary": "a tiny network"})
    (tmp_path / "photos" / "broken.png").write_bytes(b"no picture")
    before = sorted(path for path in tmp_path.rglob("*"))
    facts = run("train", recipe, "--dry-run", "--json").data
    network = toolbox.build(recipe_data(tmp_path)["model"])
    assert facts["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert (facts["pictures"], facts["left_out"]) == (3, 1)
    assert facts["steps"] == 4
    assert facts["seconds_per_step"] > 0
    assert facts["memory"] > 5 * 4 * facts["parameters"]
    printed = run("train", recipe, "--dry-run").out
    assert "a tiny network" in printed
    assert "3, 1 left out, " in printed
    assert "4 steps in" in printed
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_the_estimate_of_memory_grows_with_the_batch(run: Run, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    small, large = (run("train", recipe, "--dry-run", "--json", f"batch={batch}").data["memory"] for batch in (2, 20))
    assert large > 4 * small


def test_a_run_is_not_overwritten_but_resumed(run: Run, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    assert run("train", recipe, "--resume").code == 0  # there is none yet: it starts
    before = load_file("runs/mine/mine.safetensors")
    assert run("train", recipe).sentence == (
        "runs/mine already has a run; continue it with --resume, or choose another --run"
    )
    assert run("train", recipe, "--resume").code == 0
    assert all((load_file("runs/mine/mine.safetensors")[key] == value).all() for key, value in before.items())
    sentence = run("train", recipe, "--resume", "batch=3").sentence
    assert sentence.startswith(f"runs/mine/{CHECKPOINT}: cannot continue with another recipe: batch was 2, is 3; use")


def test_a_recipe_of_a_catalog_of_one_s_own(run: Run, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"my-net": recipe_data(tmp_path)["model"]}), encoding="utf-8")
    assert run("train", recipe, "model=my-net", "--catalog", "own.yaml", "--run", "x", "--workers", "1").code == 0


def test_bad_input_is_said_before_anything_is_written(run: Run, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    assert run("train", "nothing.yaml").sentence == "nothing.yaml: cannot be read: No such file or directory"
    assert run("train", recipe, "model=bicubic").sentence.endswith(
        "model: has no weights to train; choose another architecture"
    )
    assert run("train", recipe, "data=empty").sentence.startswith("empty: no picture found, expected some")
    assert run("train", recipe, "data=nowhere").sentence.startswith("nowhere: is not a folder, expected one")
    assert run("train", recipe, "--run", "file").sentence == (
        "file: cannot be written: File exists; choose another --run"
    )
    validation = "validation={folder: empty, protocol: denoise-gray}"
    assert run("train", recipe, validation).sentence.startswith("empty: nothing to score")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_pictures_smaller_than_a_patch_are_refused(run: Run, tmp_path: Path) -> None:
    result = run("train", write_recipe(tmp_path), "patch=64")
    warning, error = result.err.strip().splitlines()
    assert result.code == 1
    assert warning.startswith("warning: left out 3 of 3 pictures: ")
    assert warning.count("24x24 is smaller than a patch of 64x64") == 1
    assert error.startswith("error: ")
    assert error.endswith("no picture can be used, expected some of at least 64x64, a patch's size")


def test_a_corrupt_picture_in_the_middle_is_left_out_named_and_counted(run: Run, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    broken = tmp_path / "photos" / "1.png"
    broken.write_bytes(broken.read_bytes()[:-100])
    result = run("train", recipe)
    assert result.code == 0
    assert result.err.splitlines()[0].startswith(f"warning: left out 1 of 3 pictures: {broken}: ")
    assert toolbox.load("runs/mine/mine.safetensors").training_record["pictures"] == "2 of photos"


def test_a_gray_network_trains_on_the_luma_of_color_pictures(run: Run, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    assert run("train", recipe, "--run", "color").code == 0
    for path in (tmp_path / "photos").iterdir():
        with Image.open(path) as picture:
            luma = np.asarray(picture.convert("L"))
        Image.fromarray(luma).save(path)
    assert run("train", recipe, "--run", "gray").code == 0
    color, gray = (load_file(f"{name}/mine.safetensors") for name in ("color", "gray"))
    assert all((color[key] == gray[key]).all() for key in color)


def test_a_picture_for_validation_that_is_damaged_is_said_at_once(run: Run, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    scored = write_pictures(tmp_path / "kept", count=2)
    (scored / "1.png").write_bytes(b"no picture")
    result = run("train", recipe, f"validation={{folder: {scored}, protocol: denoise-gray}}")
    assert result.sentence.startswith(f"{scored}/1.png: ")
    assert not (tmp_path / "runs" / "mine" / CHECKPOINT).exists()


def command(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment, check=False, capture_output=True, text=True, timeout=120, **options,
    )  # fmt: skip


def test_a_full_disk_ends_in_a_sentence(run: Run, tmp_path: Path) -> None:
    """No file may grow beyond a limit that the pictures fit into and the checkpoint does not."""
    recipe = write_recipe(tmp_path, model={"encoder": {"transition": {"channels": 24}}})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    try:
        done = run("train", recipe)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    last = done.err.strip().splitlines()[-1]
    assert done.code == 1
    assert last.startswith(f"error: runs/mine/{CHECKPOINT}: the checkpoint cannot be written: ")
    assert "File too large" in last
    assert last.endswith("there is none yet")
    assert not (tmp_path / "runs" / "mine" / CHECKPOINT).exists()
    assert run("train", recipe, "--resume").code == 0


THREADS_AT_THE_END = """
import runpy
import torch.distributed

try:
    runpy.run_module("toolbox", run_name="__main__")
finally:
    assert not torch.distributed.is_initialized()
"""


def test_two_processes_train_as_one_with_the_doubled_batch(tmp_path: Path, run: Run) -> None:
    changes = {"model": dict(IMPLICIT), "degradation": ["bicubic", {"name": "gaussian-noise", "sigma": [0, 25]}]}
    recipe = write_recipe(
        tmp_path, **changes, scale={"each": [2, 3]}, patch=6, points=20, budget={"steps": 20}, clip={"norm": 0.5}
    )
    launch = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", 2, "--num_machines", 1)
    quiet = ("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", 0)
    script = tmp_path / "train.py"
    script.write_text(THREADS_AT_THE_END, encoding="utf-8")
    done = command(*launch, *quiet, script, "train", recipe, "--run", "two")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("wrote ") == 1
    assert run("train", recipe, "batch=4", "--run", "one").code == 0
    one, two = (np.loadtxt(f"{name}/log.csv", delimiter=",", skiprows=1, usecols=(0, 3)) for name in ("one", "two"))
    assert len(one) == 2
    np.testing.assert_allclose(two, one, rtol=1e-5)
    first, second = (load_file(f"{name}/mine.safetensors") for name in ("one", "two"))
    assert all((first[key] - second[key]).abs().max() < 1e-5 for key in first)
    assert toolbox.load("two/mine.safetensors").training_record["processes"] == 2
