"""Published files as their users have them: read without running anything in them, or refused with a sentence."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import toolbox
from tests.plugins.published_diinn import diinn
from tests.plugins.published_liif import liif
from tests.plugins.published_nlrn import nlrn
from tests.weights import published
from tests.weights.formats import FORMATS
from tests.weights.published import Published
from tests.weights.test_formats import same_network
from toolbox.errors import WeightsError
from toolbox.weights.published import checkpoint_of, read_checkpoint

formats = pytest.mark.parametrize("name", FORMATS)


def optimizer_state() -> dict[str, Any]:
    """What Adam leaves in a checkpoint."""
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


# Files that convert.


@formats
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_state_dict_in_a_pt_file(name: str, zipped: bool, tmp_path: Path) -> None:
    case, path = FORMATS[name](), tmp_path / "published.pt"
    torch.save(case.state_dict, path, _use_new_zipfile_serialization=zipped)
    assert same_network(toolbox.convert(path, **case.hints), case.restorer)


@formats
def test_arrays_in_an_npz_file(name: str, tmp_path: Path) -> None:
    case, path = FORMATS[name](), tmp_path / "published.npz"
    np.savez(path, **case.arrays)  # type: ignore[arg-type]  # its next parameter is a flag
    assert same_network(toolbox.convert(str(path), **case.hints), case.restorer)


@formats
def test_tensors_in_a_safetensors_file(name: str, tmp_path: Path) -> None:
    case, path = FORMATS[name](), tmp_path / "published.safetensors"
    save_file(case.state_dict, path)
    assert same_network(toolbox.convert(path, **case.hints), case.restorer)


@pytest.mark.parametrize("parameters", [True, False])
def test_parameters_are_read_as_the_tensors_they_are(parameters: bool, tmp_path: Path) -> None:
    case, path = published.edsr(), tmp_path / "published.pt"
    wrap: Callable[[Any], Any] = torch.nn.Parameter if parameters else torch.Tensor.clone
    torch.save({name: wrap(tensor) for name, tensor in case.state_dict.items()}, path)
    assert same_network(toolbox.convert(path), case.restorer)


@pytest.mark.parametrize("local_ensemble", [True, False])
def test_liif_s_pth_has_its_spec_inside(local_ensemble: bool, tmp_path: Path) -> None:
    case, path = liif(local_ensemble=local_ensemble), tmp_path / "edsr-liif.pth"
    arguments = {
        "encoder_spec": {"name": "edsr-baseline", "args": {"no_upsampling": True}},
        "imnet_spec": {"name": "mlp", "args": {"out_dim": 3, "hidden_list": [5, 6]}},
        "local_ensemble": local_ensemble,
    }
    # LIIF's EDSR has the mean shift's constants, and does not use them.
    sd = case.state_dict | {
        f"encoder.{name}": torch.from_numpy(array) for name, array in published.mean_shift().items()
    }
    model = {"name": "liif", "args": arguments, "sd": sd}
    torch.save({"model": model, "optimizer": {"name": "adam", "sd": optimizer_state()}, "epoch": 1000}, path)
    assert same_network(toolbox.convert(path), case.restorer)


def lightning(case: Published, hyperparameters: dict[str, Any], path: Path) -> Path:
    """A checkpoint as Lightning writes it."""
    content = {
        "epoch": 3,
        "global_step": 1200,
        "pytorch-lightning_version": "1.6.5",
        "state_dict": {f"net.{name}": tensor for name, tensor in case.state_dict.items()},
        "callbacks": {"ModelCheckpoint": {"monitor": "val/psnr", "best_model_score": torch.tensor(29.1)}},
        "optimizer_states": [optimizer_state()],
        "lr_schedulers": [{"step_size": 400, "gamma": 0.5}],
        "hparams_name": "kwargs",
        "hyper_parameters": hyperparameters,
    }
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("mode", "modulation_input", "more"),
    [
        (1, "modulation", {}),
        (2, "modulation+content", {}),
        (2, "modulation+content", {"initial_synthesis": True}),
        (3, "synthesis+content", {}),
        (3, "synthesis+content", {"initial_synthesis": True}),
        (4, "synthesis+content", {"output_kernel": 3}),
    ],
)
def test_diinn_s_lightning_checkpoint_tells_its_mode(
    mode: int, modulation_input: str, more: dict[str, Any], tmp_path: Path
) -> None:
    case = diinn(modulation_input=modulation_input, **more)
    initial = bool(more.get("initial_synthesis"))
    path = lightning(case, {"arch": "diinn", "mode": mode, "init_q": initial, "lr": 1e-4}, tmp_path / "diinn.ckpt")
    assert same_network(toolbox.convert(path), case.restorer)


def test_hyperparameters_may_be_nested(tmp_path: Path) -> None:
    case = diinn(modulation_input="modulation+content")
    path = lightning(case, {"lr": 1e-4, "net": {"mode": 2, "init_q": False}}, tmp_path / "diinn.ckpt")
    assert same_network(toolbox.convert(path), case.restorer)


def test_the_mode_of_something_else_is_not_the_network_s(tmp_path: Path) -> None:
    case = diinn()
    path = lightning(case, {"mode": 3}, tmp_path / "diinn.ckpt")
    content = torch.load(path, weights_only=True)
    torch.save({"loops": {"stopping": {"mode": "max"}}, **content}, path)
    assert same_network(toolbox.convert(path), case.restorer)


def test_a_lightning_checkpoint_without_its_mode_needs_the_hint(tmp_path: Path) -> None:
    case = diinn()
    path = lightning(case, {"lr": 1e-4}, tmp_path / "diinn.ckpt")
    with pytest.raises(
        WeightsError, match=r"diinn\.ckpt as diinn: its tensors do not determine modulation_input; give the"
    ):
        toolbox.convert(path)
    assert same_network(toolbox.convert(path, **case.hints), case.restorer)


def test_a_hint_that_the_hyperparameters_contradict_is_refused(tmp_path: Path) -> None:
    path = lightning(diinn(), {"mode": 3}, tmp_path / "diinn.ckpt")
    with pytest.raises(WeightsError, match=r"modulation_input='modulation\+content', but the file says synthesis\+con"):
        toolbox.convert(path, modulation_input="modulation+content")


def test_hyperparameters_that_the_shapes_contradict_are_refused(tmp_path: Path) -> None:
    path = lightning(diinn(), {"mode": 1}, tmp_path / "diinn.ckpt")
    with pytest.raises(WeightsError, match=r"diinn\.ckpt as diinn: .*mode"):
        toolbox.convert(path)
    with pytest.raises(WeightsError, match=r"^(?!.*give the hint *$)"):
        toolbox.convert(path)


# TensorFlow checkpoints, by a stand-in for tensorflow: the real one is an extra.


class Reader:
    """What tensorflow.train.load_checkpoint gives."""

    def __init__(self, variables: dict[str, Any]) -> None:
        self.variables = variables

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        return {name: list(np.shape(value)) for name, value in self.variables.items()}

    def get_tensor(self, name: str) -> Any:
        return self.variables[name]


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """The prefix of a TensorFlow checkpoint, as its users name it."""
    (tmp_path / "model.ckpt-500000.index").write_bytes(b"")
    (tmp_path / "model.ckpt-500000.data-00000-of-00001").write_bytes(b"")
    return tmp_path / "model.ckpt-500000"


def stand_in(monkeypatch: pytest.MonkeyPatch, load_checkpoint: Callable[[str], Any]) -> None:
    module: Any = types.ModuleType("tensorflow")
    module.train = types.SimpleNamespace(load_checkpoint=load_checkpoint)
    monkeypatch.setitem(sys.modules, "tensorflow", module)


def test_a_tensorflow_checkpoint_without_what_its_training_left(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = nlrn()
    slots = {f"{name}/Adam{i}": array for name, array in case.arrays.items() for i in ("", "_1")}
    rest = {"global_step": np.int64(5), "beta1_power": np.float32(0.9), "beta2_power": np.float32(0.99)}
    opened = []

    def load_checkpoint(path: str) -> Reader:
        opened.append(path)
        return Reader({**slots, **rest, **case.arrays})

    stand_in(monkeypatch, load_checkpoint)
    assert same_network(toolbox.convert(prefix, **case.hints), case.restorer)
    assert opened == [str(prefix)]


def test_without_tensorflow_its_checkpoint_is_refused_with_what_to_install(
    prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # as if it were not installed
    sentence = r"which needs tensorflow; pip install 'toolbox-restoration\[tensorflow\]'$"
    with pytest.raises(WeightsError, match=rf"model\.ckpt-500000: is a TensorFlow checkpoint, {sentence}"):
        toolbox.convert(prefix)


def test_a_damaged_tensorflow_checkpoint_is_refused(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_checkpoint(path: str) -> Reader:
        raise RuntimeError("Checksum does not match\nand a long trace")

    stand_in(monkeypatch, load_checkpoint)
    with pytest.raises(WeightsError, match=r"500000: not readable by tensorflow: Checksum does not match$"):
        toolbox.convert(prefix)


# Files that hold code.


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("suffix", [".pth", ".npz", ".safetensors", ""])
def test_code_in_a_checkpoint_is_refused_and_not_executed(zipped: bool, suffix: str, tmp_path: Path) -> None:
    path, target = tmp_path / f"bomb{suffix}", tmp_path / "exploded"
    content = {**published.edsr().state_dict, "note": Bomb(target)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=rf"bomb{suffix}: (the file is damaged or holds more|not a checkpoint)"):
        toolbox.convert(path)
    assert not target.exists()
    armed = path.rename(tmp_path / "armed.pth")
    torch.load(armed, weights_only=False)  # that the bomb would have worked
    assert target.exists()


def test_code_in_a_checkpoint_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    torch.save({"note": Bomb(tmp_path / "exploded")}, path)
    remedy = "save only its state dict and convert that"
    with pytest.raises(WeightsError, match=rf"holds more than tensors and plain data \(.+\); {remedy}$"):
        toolbox.convert(path)


def test_a_whole_network_in_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(
        WeightsError,
        match=r"network\.pt: the file is damaged or holds more .*; save only its state dict and convert that$",
    ):
        toolbox.convert(path)


def test_objects_in_an_npz_file_are_refused_and_not_executed(tmp_path: Path) -> None:
    path, target = tmp_path / "bomb.npz", tmp_path / "exploded"
    np.savez(path, allow_pickle=True, bomb=np.array([Bomb(target)], dtype=object))
    with pytest.raises(WeightsError, match=r"bomb\.npz: not readable as plain arrays: Object arrays cannot be loaded"):
        toolbox.convert(path)
    assert not target.exists()
    with np.load(path, allow_pickle=True) as arrays:
        arrays["bomb"]  # that the bomb would have worked
    assert target.exists()


# Files that are something else.


def torch_file(path: Path) -> Path:
    torch.save(published.edsr().state_dict, path)
    return path


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.99])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_truncated_checkpoint_is_refused(zipped: bool, keep: float, tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    torch.save(published.edsr().state_dict, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(
        WeightsError, match=r"cut\.pth: (not a checkpoint that torch can read|the (file|archive) is damaged)"
    ):
        toolbox.convert(path)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_truncated_npz_is_refused(keep: float, tmp_path: Path) -> None:
    path = tmp_path / "cut.npz"
    np.savez(path, **nlrn().arrays)  # type: ignore[arg-type]  # its next parameter is a flag
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(WeightsError, match=r"cut\.npz: the archive is damaged: "):
        toolbox.convert(path)


def test_a_damaged_array_in_an_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/conv1/kernel.npy", b"\x93NUMPY\x01\x00")
    with pytest.raises(WeightsError, match=r"damaged\.npz: not readable as plain arrays: "):
        toolbox.convert(path)


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "letters.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<letter/>")
    with pytest.raises(WeightsError, match=r"letters\.pth: not a checkpoint that torch can read: "):
        toolbox.convert(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"hello, this is a text file\n", b"PK\x03\x04", b"\x80\x02}.", bytes(range(256)) * 8, b"\0" * 99],
    ids=["empty", "newline", "text", "zip-start", "pickle-of-nothing", "bytes", "zeros"],
)
@pytest.mark.parametrize("suffix", [".pth", ".npz", ".safetensors"])
def test_what_is_no_checkpoint_is_refused_with_its_name(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"odd{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"odd\{suffix}: .*\S") as caught:
        toolbox.convert(path)
    assert "\n" not in str(caught.value)
    assert not str(caught.value).rstrip().endswith(":")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.pth: cannot be read: No such file or directory$"):
        toolbox.convert(tmp_path / "none.pth")
    with pytest.raises(WeightsError, match=r": cannot be read: Is a directory$"):
        toolbox.convert(tmp_path)


def test_a_weights_file_of_ours_is_no_published_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "ours.safetensors"
    toolbox.save(published.edsr().restorer, path)
    with pytest.raises(WeightsError, match=r"ours\.safetensors: its names fit no known format \(.*diinn, edsr, "):
        toolbox.convert(path)


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), "text", 5])
def test_a_file_without_names_is_refused(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "list.pt"
    torch.save(content, path)
    kind = type(content).__name__
    with pytest.raises(WeightsError, match=rf"list\.pt: got a {kind}, expected a mapping of names to tensors$"):
        toolbox.convert(path)


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"state_dict": {}}, {"model": {"sd": {"a": 1}}}])
def test_a_file_without_tensors_is_refused(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "none.pt"
    torch.save(content, path)
    with pytest.raises(WeightsError, match=r"none\.pt: holds no named tensors; expected a checkpoint's state dict$"):
        toolbox.convert(path)


def test_no_damage_to_a_file_raises_anything_but_a_sentence(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole, damaged = tmp_path / "whole", tmp_path / "damaged.pth"
    refused = 0
    for name in ("edsr", "nlrn-tf"):
        case = FORMATS[name]()
        torch.save(case.state_dict, whole)
        originals = [whole.read_bytes()]
        torch.save(case.state_dict, whole, _use_new_zipfile_serialization=False)
        originals.append(whole.read_bytes())
        np.savez(whole.with_suffix(".npz"), **case.arrays)  # type: ignore[arg-type]  # its next parameter is a flag
        originals.append(whole.with_suffix(".npz").read_bytes())
        for original in originals:
            for _ in range(40):
                data = bytearray(original)
                for _ in range(3):
                    start = int(rng.integers(len(data)))
                    data[start : start + int(rng.integers(1, 4))] = rng.bytes(int(rng.integers(3)))
                damaged.write_bytes(data)
                with contextlib.suppress(WeightsError):
                    toolbox.convert(damaged, **case.hints)
                    continue
                refused += 1
    assert refused > 100


# The parts.


def test_notes_are_everything_beside_the_tensors() -> None:
    content = {"model": {"name": "liif", "sd": {"a": torch.ones(2), "text": "b"}}, "epoch": 3}
    checkpoint = checkpoint_of(content, "it")
    assert list(checkpoint.tensors) == ["a"]
    assert dict(checkpoint.notes) == {"epoch": 3, "name": "liif", "text": "b"}


def test_reading_closes_the_file(tmp_path: Path) -> None:
    path = torch_file(tmp_path / "a.pth")
    read_checkpoint(path)
    shutil.move(path, tmp_path / "b.pth")
    assert re.match(r"b\.pth", next(tmp_path.iterdir()).name)
