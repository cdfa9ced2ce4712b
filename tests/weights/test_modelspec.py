"""Headers for other programs: the keys of the ModelSpec standard, and a hash that anybody can check."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors.torch import load_file, save_file

import toolbox
from tests.parts import architecture, restorer_of
from toolbox.weights.file import read_metadata


def test_a_weights_file_says_what_it_is_to_other_programs(tmp_path: Path) -> None:
    restorer = restorer_of(architecture("edsr", "pixel-shuffle", summary="EDSR for a test"))
    restorer.training_record = {"author": "Ada", "license": "CC-BY-4.0"}
    toolbox.save(restorer, tmp_path / "net.safetensors")
    texts = {
        key.removeprefix("modelspec."): text
        for key, text in read_metadata(tmp_path / "net.safetensors").items()
        if key.startswith("modelspec.")
    }
    assert texts.pop("implementation").startswith("toolbox-restoration ")
    assert texts.pop("hash_sha256").startswith("0x")
    assert texts == {
        "sai_model_spec": "1.0.0",
        "title": "EDSR for a test",
        "author": "Ada",
        "license": "CC-BY-4.0",
        "architecture": "toolbox/edsr+pixel-shuffle",
    }


def test_what_nobody_stated_is_left_out(tmp_path: Path) -> None:
    toolbox.save(restorer_of(architecture("edsr", "pixel-shuffle")), tmp_path / "net.safetensors")
    texts = read_metadata(tmp_path / "net.safetensors")
    assert not {"modelspec.author", "modelspec.license"} & texts.keys()
    assert texts["modelspec.title"]


def test_the_hash_is_that_of_the_bytes_behind_the_header(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    toolbox.save(restorer_of(architecture("edsr", "pixel-shuffle")), path)
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    assert read_metadata(path)["modelspec.hash_sha256"] == "0x" + hashlib.sha256(content[start:]).hexdigest()


def test_a_file_without_these_keys_is_loaded(tmp_path: Path) -> None:
    path, old = tmp_path / "net.safetensors", tmp_path / "old.safetensors"
    toolbox.save(restorer_of(architecture("edsr", "pixel-shuffle")), path)
    ours = {key: text for key, text in read_metadata(path).items() if key.startswith("toolbox.")}
    save_file(load_file(path), old, ours)
    assert toolbox.load(old).spec == toolbox.load(path).spec
