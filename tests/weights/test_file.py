"""Weights files: what is written, that it comes back bit for bit, and that it says itself what it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import toolbox
from tests.parts import architecture, restorer_of
from toolbox.discovery import installed
from toolbox.errors import WeightsError
from toolbox.records import ArchitectureInfo
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.weights.file import FORMAT, read_header

HYBRID = architecture("recurrent", "dual-interactive", normalization={"mean": [0.4, 0.5, 0.6], "std": 0.25})


def hybrid() -> Restorer:
    """A network of the core's and of two plugins' parts, with drawn weights and statistics."""
    return restorer_of(HYBRID).float()


def metadata_of(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        metadata: dict[str, str] = file.metadata()
    return metadata


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "hybrid.safetensors"
    toolbox.save(hybrid(), path)
    return path


# The file.


def test_any_safetensors_reader_opens_the_file(tmp_path: Path) -> None:
    path, restorer = tmp_path / "hybrid.safetensors", hybrid()
    toolbox.save(restorer, path)
    plain, state = load_file(path), restorer.state_dict()
    assert plain.keys() == state.keys()
    assert all(torch.equal(plain[key], state[key]) for key in state)


def test_the_header_s_keys_are_those_of_the_format(saved: Path) -> None:
    metadata = metadata_of(saved)
    assert {key for key in metadata if key.startswith("toolbox.")} == {
        "toolbox.format",
        "toolbox.spec",
        "toolbox.plugins",
    }
    assert int(metadata["toolbox.format"]) == FORMAT


def test_the_header_names_the_plugins_that_are_needed_and_their_versions(saved: Path) -> None:
    version = installed().versions["toolbox_nlrn"]
    plugins = json.loads(metadata_of(saved)["toolbox.plugins"])
    assert plugins == {"toolbox": version, "toolbox_diinn": version, "toolbox_nlrn": version}


def test_a_network_of_the_core_alone_needs_no_plugin(tmp_path: Path) -> None:
    path = tmp_path / "edsr.safetensors"
    toolbox.save(restorer_of(architecture("edsr", "pixel-shuffle")), path)
    assert list(json.loads(metadata_of(path)["toolbox.plugins"])) == ["toolbox"]


def test_the_spec_in_the_header_is_complete(saved: Path) -> None:
    """No setting is left to a default that may change, at any depth."""
    stored = json.loads(metadata_of(saved)["toolbox.spec"])
    spec = resolve(HYBRID)
    assert resolve(stored) == spec
    for part in spec.parts():
        assert any(each == part.to_data() for each in mappings(stored)), part.name
        fields = {field.alias or name for name, field in type(part.config).model_fields.items()}
        assert part.to_data().keys() == fields | {"name"}


def mappings(data: Any) -> list[dict[str, Any]]:
    """Every mapping in nested data."""
    if not isinstance(data, dict):
        return []
    return [data, *(inner for value in data.values() for inner in mappings(value))]


def test_a_preset_is_written_out() -> None:
    spec = resolve({"channels": 3, "encoder": {"name": "edsr", "preset": "full"}, "decoder": "dual-interactive"})
    assert "preset" not in spec.to_json()
    published = {"name": "edsr", "channels": 256, "blocks": 32, "residual_scale": 0.1}
    assert json.loads(spec.to_json())["encoder"].items() >= published.items()


def test_the_training_record_comes_back(tmp_path: Path) -> None:
    path, restorer = tmp_path / "trained.safetensors", hybrid()
    record = {"data": "four photographs", "steps": 1500, "scores": {"set": 28.25, "none": None}, "σ": [15, 25]}
    restorer.training_record = record
    toolbox.save(restorer, path)
    assert json.loads(metadata_of(path)["toolbox.training"]) == record
    assert toolbox.load(path).training_record == record
    assert read_header(path).training == record


def test_without_a_training_record_none_is_written(saved: Path) -> None:
    assert "toolbox.training" not in metadata_of(saved)
    assert toolbox.load(saved).training_record == {}


def test_a_training_record_that_is_not_json_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path, restorer = tmp_path / "trained.safetensors", hybrid()
    restorer.training_record = {"score": torch.tensor(28.0)}
    with pytest.raises(WeightsError, match=r"trained\.safetensors: .*training record.*JSON"):
        toolbox.save(restorer, path)
    assert list(tmp_path.iterdir()) == []


# Round trips.


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_the_type_of_the_weights_comes_back(dtype: torch.dtype, tmp_path: Path) -> None:
    restorer = hybrid().to(dtype)
    comes_back(restorer, tmp_path)
    assert toolbox.load(tmp_path / "it.safetensors").mean.dtype == dtype


def comes_back(restorer: Restorer, folder: Path) -> None:
    path = folder / "it.safetensors"
    toolbox.save(restorer, path)
    loaded = toolbox.load(path)
    assert loaded.spec == restorer.spec
    assert not loaded.training
    before, after = restorer.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    for key, tensor in before.items():
        assert after[key].dtype == tensor.dtype, key
        assert torch.equal(after[key], tensor), key
    image = torch.rand(1, restorer.channels, 6, 5, dtype=restorer.mean.dtype)
    with torch.inference_mode():
        assert torch.equal(loaded(image), restorer(image))


def test_saving_a_network_in_training_mode_leaves_it_there(tmp_path: Path) -> None:
    restorer = hybrid().train()
    toolbox.save(restorer, tmp_path / "it.safetensors")
    assert restorer.training
    assert not toolbox.load(tmp_path / "it.safetensors").training


def test_a_new_process_gives_identical_output(saved: Path, tmp_path: Path) -> None:
    image = torch.rand(2, 3, 7, 6)
    with torch.inference_mode():
        expected = toolbox.load(saved)(image, scale=(1.7, 2.3))
    torch.save(image, tmp_path / "image.pt")
    program = """
import sys, torch, toolbox
image = torch.load(sys.argv[2], weights_only=True)
with torch.inference_mode():
    torch.save(toolbox.load(sys.argv[1])(image, scale=(1.7, 2.3)), sys.argv[3])
"""
    arguments = [str(saved), str(tmp_path / "image.pt"), str(tmp_path / "output.pt")]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)
    output = torch.load(tmp_path / "output.pt", weights_only=True)
    assert output.shape == (2, 3, 12, 14)
    assert torch.equal(output, expected)


def test_loading_leaves_the_random_state_alone(saved: Path) -> None:
    state = torch.get_rng_state()
    toolbox.load(saved)
    assert torch.equal(torch.get_rng_state(), state)


# Writing, or not.


def test_a_file_is_replaced(saved: Path) -> None:
    other = restorer_of(architecture("edsr", "pixel-shuffle")).float()
    toolbox.save(other, saved)
    assert toolbox.load(saved).spec == other.spec
    assert list(saved.parent.iterdir()) == [saved]


def test_what_was_there_survives_a_failure(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(tensors: object, path: Path, metadata: object) -> None:
        Path(path).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    before = saved.read_bytes()
    monkeypatch.setattr("toolbox.weights.file.save_file", fail)
    with pytest.raises(WeightsError, match=r"hybrid\.safetensors: cannot be written: No space left on device$"):
        toolbox.save(hybrid(), saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(WeightsError, match=r"it\.safetensors: cannot be written: Permission denied$"):
        toolbox.save(hybrid(), tmp_path / "it.safetensors")


def test_a_folder_that_is_missing_and_a_target_that_is_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"it\.safetensors: cannot be written: No such file or directory$"):
        toolbox.save(hybrid(), tmp_path / "none" / "it.safetensors")
    with pytest.raises(WeightsError, match=r": cannot be written: Is a directory$"):
        toolbox.save(hybrid(), tmp_path)
    assert list(tmp_path.iterdir()) == []


# By name.


def test_a_name_without_weights_is_refused_with_what_to_do() -> None:
    sentence = (
        r"^'nlrn' ships without weights; give the path of a weights file, use one for this task that has them "
        r"\(nlrn-lite, nlrn-lite-blind, photo\), or build it untrained with toolbox\.build$"
    )
    with pytest.raises(WeightsError, match=sentence):
        toolbox.load("nlrn")


def test_an_unknown_name_is_refused_with_close_ones() -> None:
    with pytest.raises(toolbox.ToolboxError, match=r"^unknown architecture 'nlnr'; did you mean 'nlrn' \("):
        toolbox.load("nlnr")


@pytest.mark.parametrize("name", ["none.safetensors", "some/where/deep", "nlrn.pth"])
def test_a_path_that_is_missing_is_refused_as_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=rf"^{name}: no such weights file$"):
        toolbox.load(name)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", ""])
def test_what_can_be_no_path_is_refused(name: str) -> None:
    with pytest.raises(toolbox.ToolboxError):
        toolbox.load(name)


def test_a_folder_does_not_hide_a_name(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    found = installed().with_architectures("me", [ArchitectureInfo("mine", HYBRID, "mine", weights=saved)])
    assert toolbox.load("mine", registries=found).spec == resolve(HYBRID)


def test_a_name_loads_the_weights_that_it_ships_with(saved: Path) -> None:
    found = installed().with_architectures("me", [ArchitectureInfo("mine", HYBRID, "mine", weights=saved)])
    loaded, expected = toolbox.load("mine", registries=found).state_dict(), load_file(saved)
    assert all(torch.equal(loaded[key], expected[key]) for key in expected)


def test_a_network_without_weights_to_train_is_loaded_by_its_name() -> None:
    image = torch.rand(1, 3, 4, 5)
    assert torch.equal(toolbox.load("bicubic")(image, scale=2), toolbox.build("bicubic")(image, scale=2))
