"""Weights files that are damaged, foreign, from the future, or lying: one sentence each, and nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import toolbox
from tests.parts import architecture, restorer_of
from tests.weights.mutations import KINDS
from tests.weights.test_file import metadata_of
from toolbox.discovery import installed
from toolbox.errors import WeightsError
from toolbox.registry import SetAside
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.weights.file import HEADER_LIMIT, SPEC_LIMIT, _AtMost, _TooManyError, read_header

ROOT = Path(__file__).parents[2]
Tensors = dict[str, torch.Tensor]
SPEC = architecture("edsr", "dual-interactive")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A weights file that is in order."""
    path = tmp_path / "net.safetensors"
    toolbox.save(restorer_of(SPEC).float(), path)
    return path


def rewrite(path: Path, change: Callable[[Tensors, dict[str, str]], object]) -> None:
    """Change tensors and header of a weights file, by means of safetensors alone."""
    tensors, metadata = load_file(path), metadata_of(path)
    change(tensors, metadata)
    save_file(tensors, path, metadata)


def with_spec(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    def rewritten(_: Tensors, metadata: dict[str, str]) -> None:
        spec = json.loads(metadata["toolbox.spec"])
        change(spec)
        metadata["toolbox.spec"] = json.dumps(spec)

    rewrite(path, rewritten)


def refused(path: Path, message: str) -> str:
    """Loading fails with one sentence that names the file."""
    with pytest.raises(WeightsError, match=message) as caught:
        toolbox.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Tensors that do not fit the spec.


def test_missing_unexpected_and_misshapen_tensors_are_listed_and_sorted(path: Path) -> None:
    def damage(tensors: Tensors, _: dict[str, str]) -> None:
        del tensors["encoder.tail.bias"], tensors["decoder.output.weight"]
        tensors |= {"zoom": torch.zeros(1), "extra": torch.zeros(1)}
        tensors["encoder.head.bias"] = torch.zeros(5)
        tensors["decoder.synthesis.0.bias"] = torch.zeros(())

    rewrite(path, damage)
    refused(
        path,
        r": its tensors do not fit its spec: missing decoder\.output\.weight, encoder\.tail\.bias; "
        r"unexpected extra, zoom; of another shape decoder\.synthesis\.0\.bias \(got \[\], expected \[5\]\), "
        r"encoder\.head\.bias \(got \[5\], expected \[4\]\)$",
    )


def test_a_long_list_is_cut_short(path: Path) -> None:
    rewrite(path, lambda tensors, _: tensors.update({f"extra.{i}": torch.zeros(1) for i in range(20)}))
    refused(path, r"unexpected extra\.0, .* and 12 more$")


def test_weights_of_another_size_are_refused(path: Path) -> None:
    with_spec(path, lambda spec: spec["encoder"].update(channels=8))
    refused(path, r"do not fit its spec: .*encoder\.blocks\.0\.body\.0\.bias \(got \[4\], expected \[8\]\)")


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64, torch.bool, torch.float8_e5m2])
def test_weights_that_are_no_floats_are_refused(dtype: torch.dtype, path: Path) -> None:
    def damage(tensors: Tensors, _: dict[str, str]) -> None:
        tensors["encoder.head.bias"] = tensors["encoder.head.bias"].to(dtype)

    rewrite(path, damage)
    refused(path, r"encoder\.head\.bias")


# Headers.


@pytest.mark.parametrize("key", ["toolbox.format", "toolbox.spec"])
def test_a_file_without_a_spec_is_refused(key: str, path: Path) -> None:
    rewrite(path, lambda _, metadata: metadata.pop(key))
    refused(path, r": no spec in its header; expected a file that Toolbox wrote$")


def test_a_safetensors_file_of_somebody_else_is_refused(path: Path) -> None:
    save_file({"a": torch.zeros(2)}, path)
    refused(path, r"; expected a file that Toolbox wrote, or a checkpoint of a known format \(.*edsr.*\)$")


@pytest.mark.parametrize("number", ["2", "0", "one", "", "1.0"])
def test_a_format_of_another_number_is_refused(number: str, path: Path) -> None:
    rewrite(path, lambda _, metadata: metadata.update({"toolbox.format": number}))
    refused(path, rf": got format '{number}', expected 1; upgrade toolbox to read it$")


@pytest.mark.parametrize("key", ["toolbox.spec", "toolbox.plugins", "toolbox.training"])
@pytest.mark.parametrize("value", ["", "{", "[1]", "3", "null", '"text"', "{'a': 1}", "[" * 60_000])
def test_a_header_that_is_not_json_is_refused(key: str, value: str, path: Path) -> None:
    rewrite(path, lambda _, metadata: metadata.update({key: value}))
    refused(path, rf": {key} in its header is not a JSON object$")


def test_a_plugin_that_is_not_installed_is_named_with_its_version(path: Path) -> None:
    plugins = json.dumps({"toolbox": "0.1", "toolbox_gone": "1.2.3"})
    rewrite(path, lambda _, metadata: metadata.update({"toolbox.plugins": plugins}))
    refused(path, r": needs plugin toolbox_gone \(written with version 1\.2\.3\), but it is not installed$")


def test_a_plugin_that_was_set_aside_is_named_with_why(path: Path) -> None:
    registries = installed()
    versions = {name: version for name, version in registries.versions.items() if name != "toolbox_diinn"}
    broken_plugin = SetAside("toolbox_diinn", "", "", "", "ImportError: no einops", "")
    broken = dataclasses.replace(registries, versions=versions, set_aside=[broken_plugin])
    with pytest.raises(WeightsError, match=r"needs plugin toolbox_diinn \(.*\), but ImportError: no einops$"):
        toolbox.load(path, registries=broken)


def test_a_file_of_an_older_version_of_a_plugin_is_read(path: Path) -> None:
    plugins = json.dumps({"toolbox": "0.0.1", "toolbox_diinn": "99"})
    rewrite(path, lambda _, metadata: metadata.update({"toolbox.plugins": plugins}))
    assert toolbox.load(path).spec.decoder.name == "dual-interactive"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": None}, r"encoder: got None, expected a component's name"),
        ({"encoder": {"name": "edsrr"}}, r"encoder\.name: unknown encoder 'edsrr'; did you mean 'edsr'"),
        ({"encoder": {"name": "edsr", "chanels": 4}}, r"encoder\.chanels: unknown key; did you mean 'channels'\?$"),
        ({"channels": 0}, r"channels: got 0, expected greater than 0$"),
        ({"channels": "many"}, r"channels: got 'many', expected a valid integer"),
        ({"normalization": {"mean": []}}, r"normalization\.mean: got \[\], expected one value, or 3: one per channel$"),
        ({"normalization": {"std": 0}}, r"normalization\.std: got 0"),
        ({"normalization": {"std": [1.0, 1.0, float("nan")]}}, r"normalization\.std: got .*nan"),
        ({"normalization": {"mean": float("inf")}}, r"normalization\.mean: got inf"),
        ({"decoder": {"name": "bicubic"}}, r"decoder: bicubic got 4 channels, expected an image of 3"),
        ({"tomorrow": 1}, r"tomorrow: unknown key"),
    ],
)
def test_a_spec_that_is_not_valid_is_refused_with_the_path_to_the_fault(
    change: dict[str, Any], message: str, path: Path
) -> None:
    with_spec(path, lambda spec: spec.update(change))
    refused(path, rf": the spec in its header is not valid here: .*{message}")


@pytest.mark.parametrize("channels", [10**6, 10**12, 10**30])
def test_a_spec_of_a_network_that_no_memory_holds_is_refused(channels: int, path: Path) -> None:
    with_spec(path, lambda spec: spec["encoder"].update(channels=channels))
    refused(path, r"spec")


@pytest.mark.parametrize("depth", [30, 300, 5000])
def test_a_spec_that_is_nested_too_deeply_is_refused(depth: int, path: Path) -> None:
    def nest(_: Tensors, metadata: dict[str, str]) -> None:
        inner = json.dumps(SPEC["encoder"])
        nested = '{"name": "pixel-unshuffle", "encoder": ' * depth + inner + "}" * depth
        decoder = json.dumps(SPEC["decoder"])
        metadata["toolbox.spec"] = f'{{"channels": 3, "encoder": {nested}, "decoder": {decoder}}}'

    rewrite(path, nest)
    refused(path, r"spec")


# Bytes.


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 100, 0.5, 0.99])
def test_a_file_that_is_cut_off_is_refused(keep: float, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    refused(path, r": not a readable safetensors file: ")


def test_a_header_that_claims_ten_gigabytes_is_refused(path: Path) -> None:
    path.write_bytes((10 * 10**9).to_bytes(8, "little") + path.read_bytes()[8:])
    size = path.stat().st_size
    refused(path, rf"it has {size} bytes, its header claims 10000000000; it is cut off or of another format$")


def test_a_header_that_is_there_but_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    claimed = HEADER_LIMIT + 1
    with path.open("wb") as file:
        file.write(claimed.to_bytes(8, "little"))
        file.truncate(claimed + 100)  # sparse: takes no room on the disk
    refused(path, rf": its header claims {claimed} bytes, expected at most {HEADER_LIMIT}$")


@pytest.mark.parametrize(
    "content",
    [b"", b"hello, this is a text file", b"\x89PNG\r\n\x1a\n" + bytes(50), bytes(64), b"\x02" + bytes(7) + b"{}"],
    ids=["empty", "text", "picture", "zeros", "no-tensors"],
)
def test_what_is_no_weights_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    refused(path, r"not a readable safetensors file: |no spec in its header")


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "random.safetensors"
    for seed in range(20):
        data = random.Random(seed).randbytes(300)  # noqa: S311  # not for cryptography
        path.write_bytes(data if seed % 2 else (250).to_bytes(8, "little") + data)
        refused(path, r": not a readable safetensors file: ")


def test_a_checkpoint_of_no_known_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "published.pth"
    torch.save({"head.0.weight": torch.zeros(3)}, path)
    refused(path, r": its names fit no known format \(.*edsr.*\); give the format if you know it$")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, r": ")


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is measured as Linux tells it"
)
def test_thousands_of_mutants_are_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    toolbox.save(restorer_of(architecture("edsr", "pixel-shuffle")).float(), path)
    command = [sys.executable, "-m", "tests.weights.mutations", str(path), "5000", "0"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)
    assert report["wrong"] == []
    assert report["memory"] < 200e6
    refused = {key.removesuffix(" refused"): n for key, n in report["outcomes"].items() if key.endswith(" refused")}
    assert refused.keys() == {kind.__name__ for kind in KINDS} | {"full_headers"}
    assert sum(refused.values()) > 4000
    assert sum(report["outcomes"].values()) == 5000 + 3


def test_a_spec_of_far_more_layers_than_the_file_has_is_refused_at_once(path: Path) -> None:
    with_spec(path, lambda spec: spec.update(encoder={"name": "rdn", "channels": 4, "blocks": 1000, "layers": 1000}))
    refused(path, r": its spec describes a far larger network than its 17 tensors$")
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("calls", range(1, 40))
def test_building_stops_anywhere_and_leaves_gradients_on(calls: int) -> None:
    spec = resolve(SPEC)
    with contextlib.suppress(_TooManyError), torch.device("meta"), _AtMost(calls):
        Restorer(spec)
    assert torch.is_grad_enabled()
    assert torch.zeros(1).device.type == "cpu"


def test_a_spec_that_no_network_needs_is_neither_read_nor_written(path: Path, tmp_path: Path) -> None:
    with_spec(path, lambda spec: spec.update(summary="x" * SPEC_LIMIT))
    refused(path, rf": its spec has \d+ characters, expected {SPEC_LIMIT} at most$")
    other = restorer_of({**SPEC, "summary": "x" * SPEC_LIMIT})
    with pytest.raises(WeightsError, match=r"long\.safetensors: cannot be written: its spec has \d+ characters, more"):
        toolbox.save(other, tmp_path / "long.safetensors")


def test_what_a_terminal_would_obey_is_escaped(path: Path) -> None:
    rewrite(path, lambda tensors, _: tensors.update({"\x1b[2Jgone\nerror: all is well": torch.zeros(1)}))
    refused(path, r"unexpected \\x1b\[2Jgone\\nerror: all is well$")


def test_a_header_is_read_without_the_tensors(path: Path) -> None:
    header = read_header(path)
    assert header.spec["encoder"]["name"] == "edsr"
    assert header.shapes["encoder.head.weight"] == (4, 3, 3, 3)
    assert "toolbox_diinn" in header.plugins
    assert header.training == {}
