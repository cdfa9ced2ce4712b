"""``toolbox convert``: a published checkpoint in, a weights file out, or one sentence and no file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import toolbox
from tests.cli.command import Run
from tests.plugins.published_diinn import diinn
from tests.weights import published
from tests.weights.formats import FORMATS
from tests.weights.test_formats import same_network
from toolbox.discovery import installed


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A published EDSR."""
    path = tmp_path / "edsr.pt"
    torch.save(published.edsr().state_dict, path)
    return path


def hints_of(hints: dict[str, Any]) -> list[str]:
    return [text for key, value in hints.items() for text in ("--hint", f"{key}={value}")]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_becomes_a_weights_file(name: str, run: Run, tmp_path: Path) -> None:
    case, path, output = FORMATS[name](), tmp_path / "published.npz", tmp_path / "out.safetensors"
    np.savez(path, **case.arrays)  # type: ignore[arg-type]  # its next parameter is a flag
    result = run("convert", path, "-o", output, *hints_of(case.hints))
    assert result.code == 0, result
    assert f"{path}: {name} (" in result.out
    assert f"wrote {output}" in result.out
    assert same_network(toolbox.load(output), case.restorer)


def test_json_is_for_programs(run: Run, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    report = run("convert", source, "-o", output, "--json").data
    assert report["format"] == "edsr"
    assert report["plugin"] == installed().converters["edsr"].provider
    assert report["tensors"] == len(published.edsr().arrays)
    assert (report["input"], report["output"]) == (str(source), str(output))
    assert toolbox.build(report["spec"]).spec == toolbox.load(output).spec


def test_a_dry_run_says_what_it_recognized_and_writes_nothing(run: Run, source: Path, tmp_path: Path) -> None:
    for more in ((), ("-o", tmp_path / "out.safetensors")):
        result = run("convert", source, "--dry-run", *more)
        assert result.code == 0
        assert f"{source}: edsr (" in result.out
        assert "pixel-shuffle" in result.out
        assert "wrote" not in result.out
    report = run("convert", source, "--dry-run", "--json").data
    assert (report["format"], report["output"]) == ("edsr", None)
    assert list(tmp_path.iterdir()) == [source]


def test_hints_are_read_as_what_they_look_like(run: Run, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    assert run("convert", source, "-o", output, "--format", "edsr", "--hint", "mean_shift=true").code == 0
    assert toolbox.load(output).spec.normalization.mean == (0.4488, 0.4371, 0.404)


def test_an_output_or_a_dry_run_is_needed(run: Run, source: Path) -> None:
    assert "--dry-run" in run("convert", source).usage


@pytest.mark.parametrize("hint", ["mean_shift", "=true", ""])
def test_a_hint_is_a_key_and_a_value(hint: str, run: Run, source: Path, tmp_path: Path) -> None:
    reason = run("convert", source, "-o", tmp_path / "out.safetensors", "--hint", hint).usage
    assert f"got '{hint}', expected KEY=VALUE" in reason
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        (["--hint", "meanshift=true"], 2, "meanshift: unknown key; did you mean 'mean_shift'?"),
        (["--hint", "mean_shift=perhaps"], 2, "mean_shift: got 'perhaps', expected a valid boolean"),
        (["--format", "edrs"], 2, "unknown checkpoint format 'edrs'; did you mean 'edsr'"),
        (["--format", "rdn"], 1, "as rdn: missing "),
    ],
)
def test_a_wrong_hint_or_format_is_refused(
    more: list[str], code: int, sentence: str, run: Run, source: Path, tmp_path: Path
) -> None:
    result = run("convert", source, "-o", tmp_path / "out.safetensors", *more)
    assert sentence in result.sentence
    assert result.code == code
    assert list(tmp_path.iterdir()) == [source]


class Bomb:
    """Makes a folder beside the file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def bomb(path: Path) -> None:
    torch.save({**published.edsr().state_dict, "note": Bomb(path.with_name("exploded"))}, path)


def truncated(path: Path) -> None:
    torch.save(published.edsr().state_dict, path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def another_network(path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(3, 4), "fc.bias": torch.zeros(3)}, path)


def two_halves(path: Path) -> None:
    one, other = list(published.edsr().state_dict.items()), list(published.rdn().state_dict.items())
    torch.save(dict(one[: len(one) // 2] + other[: len(other) // 2]), path)


def half(path: Path) -> None:
    state = list(published.edsr().state_dict.items())
    torch.save(dict(state[:-3]), path)


def ambiguous(path: Path) -> None:
    torch.save(diinn().state_dict, path)


def not_finite(path: Path) -> None:
    state = published.edsr().state_dict
    state["head.0.bias"][0] = float("nan")
    torch.save(state, path)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "cannot be read: No such file or directory"),
        (Path.mkdir, "cannot be read: Is a directory"),
        (Path.touch, "not a checkpoint"),
        (lambda path: path.write_text("hello", encoding="utf-8"), "refused"),
        (bomb, "the file is damaged or holds more than tensors and plain data"),
        (truncated, "the archive is damaged"),
        (another_network, "its names fit no known format"),
        (two_halves, ""),
        (half, "missing"),
        (ambiguous, "give the hint modulation_input='modulation+content' or modulation_input='synthesis+content'"),
        (not_finite, "head.0.bias has values that are not finite"),
    ],
    ids=["missing", "folder", "empty", "text", "bomb", "truncated", "other", "halves", "half", "ambiguous", "nan"],
)
def test_bad_input_is_refused_and_nothing_is_written(
    make: Callable[[Path], object], sentence: str, run: Run, tmp_path: Path
) -> None:
    path, output = tmp_path / "bad.pth", tmp_path / "out.safetensors"
    make(path)
    names = set(tmp_path.iterdir())
    result = run("convert", path, "-o", output)
    assert sentence in result.sentence
    assert str(path) in result.sentence
    assert result.code == 1
    assert set(tmp_path.iterdir()) == names


@pytest.mark.parametrize(("name", "sentence"), [("none/out.safetensors", "does not exist"), ("folder", "directory")])
def test_a_bad_target_is_refused(name: str, sentence: str, run: Run, source: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    result = run("convert", source, "-o", tmp_path / name)
    assert sentence in result.sentence
    assert result.code == 1
    assert set(tmp_path.iterdir()) == {source, tmp_path / "folder"}


def test_the_checkpoint_is_not_overwritten(run: Run, source: Path) -> None:
    before = source.read_bytes()
    assert "edsr.pt is the input itself" in run("convert", source, "-o", source).sentence
    assert source.read_bytes() == before
