"""Models of the Hugging Face Hub wherever a command, a catalog or a recipe names one; reports carry the commit."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants

import toolbox
from tests.cli.command import NET, Run
from tests.hub import Repo, fake_hub
from tests.parts import restorer_of
from tests.training.runs import IMPLICIT, NLRN, implicit_recipe, recipe_of, same, write_pictures
from toolbox.errors import SpecError, WeightsError
from toolbox.training.loop import train
from toolbox.training.record import training_record

COMMIT, LATER = "0123456789abcdef0123456789abcdef01234567", "f" * 40
SOURCE = f"hf://user/repo@{COMMIT}/net.safetensors"


def keep(cache: Path, file: Path, repo: str = "user/repo", commit: str = COMMIT) -> Path:
    """Put a file into the cache, as the newest commit of a repository."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    kept = folder / "snapshots" / commit / "net.safetensors"
    kept.parent.mkdir(parents=True)
    shutil.copy(file, kept)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(commit, encoding="utf-8")
    return kept


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.fixture
def kept(cache: Path, weights: Path) -> Path:
    """The tiny network of ``weights`` in the cache."""
    return keep(cache, weights)


@pytest.mark.usefixtures("kept")
def test_a_network_is_loaded_with_its_commit(weights: Path) -> None:
    expected = toolbox.load(weights)
    assert expected.source is None
    for name in ("hf://user/repo", f"hf://user/repo@{COMMIT}", "hf://user/repo/net.safetensors", SOURCE):
        restorer = toolbox.load(name)
        assert same(restorer.state_dict(), expected.state_dict())
        assert restorer.source == SOURCE


@pytest.mark.usefixtures("kept")
def test_pictures_are_restored(run: Run, photo: Path, weights: Path, tmp_path: Path) -> None:
    out = [tmp_path / "from-file.png", tmp_path / "from-hub.png"]
    for model, target in zip((str(weights), "hf://user/repo"), out, strict=True):
        result = run("restore", photo, "-o", target, "-m", model, "--scale", "2", "--json")
        assert result.code == 0, result
    assert out[0].read_bytes() == out[1].read_bytes()
    assert (result.data["model"], result.data["sources"]) == ("hf://user/repo", [SOURCE])
    named = run("restore", photo, "-o", tmp_path / "{stem}-{model}.png", "-m", "hf://user/repo", "--scale", "2")
    assert named.out.startswith(f"wrote {tmp_path / 'photo-repo.png'}")


@pytest.mark.usefixtures("kept")
def test_a_network_is_shown_with_its_commit(run: Run, weights: Path) -> None:
    shown = run("show", "hf://user/repo", "--json").data
    parameters = sum(parameter.numel() for parameter in toolbox.load(weights).parameters())
    assert (shown["weights"], shown["parameters"]) == (SOURCE, parameters)


def test_scores_carry_the_commit(run: Run, cache: Path, kept: Path, weights: Path, tmp_path: Path) -> None:
    data, results = write_pictures(tmp_path / "data", 1), tmp_path / "scores.json"
    arguments = ("eval", "-m", "hf://user/repo", "--data", data, "--protocol", "sr-y", "--scale", "2")
    model = run(*arguments, "--results", results, "--json").data["models"][0]
    assert (model["name"], model["source"]) == ("hf://user/repo", SOURCE)
    assert model["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    again = run(*arguments, "--results", results, "--save", tmp_path / "saved", "--json")
    assert again.data["models"] == [model]
    assert [path.parent.name for path in (tmp_path / "saved").rglob("*.png")] == ["repo"]
    keep(cache, weights, commit=LATER)  # the repository has a newer commit
    refused = run(*arguments, "--results", results)
    assert refused.sentence.endswith("holds scores of another 'hf://user/repo'; choose another file for the results")


@pytest.mark.usefixtures("kept")
def test_an_export_says_where_the_network_is_from(run: Run, tmp_path: Path) -> None:
    written = run("export", "hf://user/repo", "-o", tmp_path / "net.pt2", "--scale", "2", "--json").data
    assert written["source"] == SOURCE


def test_a_catalog_gives_a_name_to_a_network_of_the_hub(run: Run, kept: Path, photo: Path, tmp_path: Path) -> None:
    catalog = tmp_path / "mine.yaml"
    entry = {**NET, "summary": "mine", "weights": f"hf://user/repo@{COMMIT}"}
    catalog.write_text(yaml.safe_dump({"mine": entry}), encoding="utf-8")
    use = ("restore", photo, "-o", tmp_path / "out.png", "-m", "mine", "--scale", "2", "--catalog", catalog, "--json")
    assert run(*use).data["sources"] == [SOURCE]
    assert run("show", "mine", "--catalog", catalog, "--json").data["weights"] == SOURCE
    listed = run("list", "architectures", "--catalog", catalog, "--json").data["architecture"]
    assert [each["weights"] for each in listed if each["name"] == "mine"] == [True]


def test_a_recipe_starts_from_a_network_of_the_hub(cache: Path, tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data")
    toolbox.save(restorer_of(NLRN).float(), tmp_path / "net.safetensors")
    keep(cache, tmp_path / "net.safetensors")
    recipe = recipe_of(data, weights="hf://user/repo", budget={"steps": 1})
    assert recipe.weights is not None
    assert recipe.weights.file == SOURCE  # the recipe means this commit from now on
    (tmp_path / "run").mkdir()
    trained = train(recipe, tmp_path / "run", "mine")
    assert trained is not None
    assert training_record(trained.run)["recipe"]["weights"] == {"file": SOURCE}


def test_a_teacher_is_a_network_of_the_hub(cache: Path, tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data")
    toolbox.save(restorer_of(IMPLICIT).float(), tmp_path / "net.safetensors")
    keep(cache, tmp_path / "net.safetensors")
    recipe = implicit_recipe(data, loss={"name": "distill", "teacher": "hf://user/repo"})
    assert recipe.loss[0].config.teacher == SOURCE
    with pytest.raises(SpecError, match=r"^loss\.0\.teacher: hf://user/none: is not in the cache, and HF_HUB_OFFLINE"):
        implicit_recipe(data, loss=[{"name": "distill", "teacher": "hf://user/none"}])


@pytest.mark.parametrize("command", ["show", "restore", "export", "eval"])
def test_a_missing_network_is_one_sentence(command: str, run: Run, cache: Path, photo: Path, tmp_path: Path) -> None:
    options = {
        "show": (),
        "restore": (photo, "-o", tmp_path / "out.png", "-m"),
        "export": ("-o", tmp_path / "net.pt2", "--scale", "2"),
        "eval": ("--data", tmp_path, "--protocol", "sr-y", "--scale", "2", "-m"),
    }[command]
    missing = "hf://user/repo: is not in the cache, and HF_HUB_OFFLINE is set; connect once to download it"
    assert run(command, *options, "hf://user/repo").sentence == missing
    bare = "user/repo: no such weights file; did you mean hf://user/repo?"
    assert run(command, *options, "user/repo").sentence == bare
    assert "expected one that ends in .safetensors" in run(command, *options, "hf://user/repo/net.onnx").sentence


def test_a_file_that_is_no_network_is_refused_by_its_reader(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "not.safetensors").write_bytes(b"not at all")
    keep(cache, tmp_path / "not.safetensors")
    with pytest.raises(WeightsError, match=r"net\.safetensors: not a readable safetensors file"):
        toolbox.load("hf://user/repo")


def test_a_command_downloads_a_network_and_tells_its_commit(weights: Path, photo: Path, tmp_path: Path) -> None:
    code = "import sys; from toolbox.cli import main; sys.argv[0] = 'toolbox'; main()"
    use = ("restore", str(photo), "-o", str(tmp_path / "out.png"), "-m", "hf://user/repo", "--scale", "2", "--json")
    with fake_hub() as hub:
        commit = hub.repos.setdefault("user/repo", Repo()).commit({"net.safetensors": weights.read_bytes()})
        done = hub.python(code, *use, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sources"] == [f"hf://user/repo@{commit}/net.safetensors"]
