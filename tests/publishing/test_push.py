"""Pushing a weights file: what is on the hub then, by the hub's own reader of cards, and what is refused."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard, constants
from PIL import Image

import toolbox
from tests.hub import TOKEN, UPLOAD_WARNING, FakeHub, Repo, fake_hub
from tests.parts import restorer_of
from toolbox.errors import WeightsError
from toolbox.publishing.metadata import front_matter
from toolbox.publishing.push import Pushed, push
from toolbox.publishing.sheet import SIDE, chart, chart_sheet
from toolbox.restorer import Restorer
from toolbox.training.card import model_card

pytestmark = pytest.mark.filterwarnings(UPLOAD_WARNING)
ENLARGER: dict[str, Any] = {
    "summary": "a small enlarger",
    "channels": 3,
    "encoder": {"name": "edsr", "channels": 4, "blocks": 1},
    "decoder": {"name": "local-ensemble", "hidden": [4]},
}
DENOISER: dict[str, Any] = {
    "channels": 1,
    "encoder": {"name": "edsr", "channels": 4, "blocks": 1},
    "decoder": "residual-conv",
}
RECORD: dict[str, Any] = {
    "pictures": "400 of bsds500",
    "steps": 2500,
    "minutes": 11.0,
    "recipe": {
        "data": [{"name": "huggingface", "path": "user/photos"}, {"name": "pictures", "folder": "bsds500"}],
        "degradation": [{"name": "bicubic"}],
        "weights": {"file": f"hf://user/base@{'a' * 40}/net.safetensors"},
    },
    "versions": {"torch": "2.6.0"},
    "license": "Apache-2.0",
    "protocol": "sr-y",
    "scales": [2.0, 3.0],
    "psnr": {"Set5": 33.96},
}
NOISY = {"recipe": {"degradation": [{"name": "gaussian-noise", "sigma": 25}]}}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that this process uses with the right token."""
    with fake_hub() as server:
        for name, value in {
            "ENDPOINT": server.url,
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_DISABLE_PROGRESS_BARS": True,
            "HF_TOKEN_PATH": str(tmp_path / "none"),
        }.items():
            monkeypatch.setattr(constants, name, value, raising=False)  # older clients have no Xet
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


def network(spec: dict[str, Any], record: dict[str, Any]) -> Restorer:
    restorer = restorer_of(spec).float()
    restorer.training_record = record
    return restorer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    toolbox.save(network(ENLARGER, RECORD), tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def refused(file: Path, repo: str, **options: bool) -> str:
    with pytest.raises(WeightsError) as caught:
        push(file, repo, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Uploads.


def test_a_push_makes_a_repository_with_the_file_a_card_and_a_picture(hub: FakeHub, file: Path) -> None:
    got = push(file, "user/repo")
    repo = hub.repos["user/repo"]
    (commit,) = repo.commits
    assert got == Pushed(
        source=f"hf://user/repo@{commit}/net.safetensors",
        files=("net.safetensors", "README.md", "net.png"),
        commit=commit,
        url=f"{hub.url}/user/repo/commit/{commit}",
        pull_request=None,
    )
    files = repo.commits[commit]
    assert sorted(files) == ["README.md", "net.png", "net.safetensors"]
    assert files["net.safetensors"] == file.read_bytes()
    assert not repo.private
    card = ModelCard(files["README.md"].decode())
    data: Any = card.data
    assert (data.library_name, data.license) == ("toolbox", "apache-2.0")
    assert "    toolbox restore photo.png -o out.png -m hf://user/repo --scale 2\n" in card.text
    assert re.search(r"!\[.*\]\(net\.png\)", card.text)
    with Image.open(io.BytesIO(files["net.png"])) as picture:
        assert picture.format == "PNG"


def test_a_second_push_is_a_new_commit(hub: FakeHub, file: Path) -> None:
    first = push(file, "user/repo")
    toolbox.save(network(ENLARGER, {}), file)
    second = push(file, "user/repo")
    commits = hub.repos["user/repo"].commits
    assert list(commits) == [first.commit, second.commit]
    assert commits[second.commit]["net.safetensors"] == file.read_bytes()


def test_a_pull_request_leaves_the_branch_as_it_is(hub: FakeHub, file: Path) -> None:
    before = hub.repos.setdefault("others/repo", Repo()).commit({"README.md": b"theirs"})
    got = push(file, "others/repo", pull_request=True)
    repo = hub.repos["others/repo"]
    assert (repo.refs["main"], repo.refs["refs/pr/1"]) == (before, got.commit)
    assert got.source == "hf://others/repo@refs/pr/1/net.safetensors"
    assert (got.url, got.pull_request) == (f"{hub.url}/others/repo/discussions/1", 1)
    assert repo.commits[got.commit]["net.safetensors"] == file.read_bytes()
    assert "POST /api/repos/create" not in hub.requests


def test_a_private_push_makes_a_private_repository_and_never_fills_a_public_one(hub: FakeHub, file: Path) -> None:
    push(file, "user/secret", private=True)
    assert hub.repos["user/secret"].private
    hub.repos["user/open"] = Repo()
    assert refused(file, "user/open", private=True) == (
        "hf://user/open: exists and is public; make it private on its page first, or choose another"
    )
    assert hub.repos["user/open"].commits == {}


def test_the_picture_of_the_training_is_taken(hub: FakeHub, file: Path) -> None:
    Image.new("RGB", (3, 2), "red").save(file.with_suffix(".png"))
    push(file, "user/drawn")  # a picture of that name alone can be anything, so it is not published
    (files,) = hub.repos["user/drawn"].commits.values()
    assert files["net.png"] != file.with_suffix(".png").read_bytes()
    file.with_suffix(".md").touch()
    push(file, "user/repo")
    (files,) = hub.repos["user/repo"].commits.values()
    assert files["net.png"] == file.with_suffix(".png").read_bytes()


@pytest.mark.parametrize(
    ("name", "repo", "reason"),
    [
        ("none.safetensors", "user/repo", r"none\.safetensors: no such weights file; expected one that ends in \.safe"),
        ("net.pth", "user/repo", r"net\.pth: no such weights file; expected one that ends in \.safetensors"),
        ("foreign.safetensors", "user/repo", r"no spec in its header; expected a file that Toolbox wrote"),
        ("net.safetensors", "repo", r"^repo: expected user/repo, the name of a repository on the hub"),
        ("net.safetensors", "user/repo@v1", r"^user/repo@v1: expected user/repo"),
        ("net.safetensors", "hf://user/repo", r"^hf://user/repo: expected user/repo"),
        ("net.safetensors", "others/new", r"^hf://others/new: the hub refuses it \(403\)"),
    ],
)
def test_a_push_that_cannot_be_is_refused_in_one_sentence(
    name: str, repo: str, reason: str, hub: FakeHub, file: Path
) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(2)}, file.with_name("foreign.safetensors"))
    file.with_name("net.pth").touch()
    assert re.search(reason, refused(file.with_name(name), repo))
    assert hub.repos == {}


def test_a_push_needs_an_account_and_the_network(hub: FakeHub, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "the hub has no repository user/none that you may see" in refused(file, "user/none", pull_request=True)
    monkeypatch.setenv("HF_TOKEN", f"not-{TOKEN}")
    assert "the hub refuses it (401) with your token; log in" in refused(file, "user/repo")
    monkeypatch.delenv("HF_TOKEN")
    assert "the hub refuses it (401)" in refused(file, "user/repo")
    hub.down = True
    assert "the hub did not finish (" in refused(file, "user/repo")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert refused(file, "user/repo") == "hf://user/repo: HF_HUB_OFFLINE is set; unset it to reach the hub"
    assert hub.repos == {}


def test_the_command_publishes_what_another_process_then_restores_with(file: Path, tmp_path: Path) -> None:
    code = """
import sys
from toolbox.cli import main
sys.argv[0] = "toolbox"
main()
"""
    with fake_hub() as server:
        done = server.python(code, "push", str(file), "user/repo", "--private", cache=tmp_path, HF_TOKEN=TOKEN)
        assert done.returncode == 0, done.stderr
        (commit,) = server.repos["user/repo"].commits
        source = f"hf://user/repo@{commit}/net.safetensors"
        assert done.stdout == (
            f"pushed to {server.url}/user/repo/commit/{commit} (net.safetensors, README.md, net.png); "
            f"use it with -m {source}\n"
        )
        shown = server.python(code, "show", source, "--json", cache=tmp_path, HF_TOKEN=TOKEN)
        assert json.loads(shown.stdout)["training"] == RECORD, shown.stderr


# The card.


def card_of(spec: dict[str, Any], record: dict[str, Any], license_of_weights: str | None = None) -> Any:
    """The metadata as the hub's client reads it."""
    return ModelCard(front_matter(network(spec, record), "net", license_of_weights) + "\n# net\n").data


def test_the_metadata_is_what_the_header_knows() -> None:
    data = card_of(ENLARGER, RECORD, "Apache-2.0")
    assert (data.library_name, data.pipeline_tag, data.license) == ("toolbox", "image-to-image", "apache-2.0")
    assert data.tags == ["image-restoration", "super-resolution", "edsr", "local-ensemble"]
    assert (data.datasets, data.metrics, data.base_model) == (["user/photos"], ["psnr"], "user/base")
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value) == ("psnr", 33.96)
    assert (result.dataset_type, result.dataset_name) == ("Set5", "Set5 (sr-y, ×2, ×3)")
    assert result.task_type == "image-to-image"


def test_what_the_header_does_not_know_is_left_out() -> None:
    data = card_of(DENOISER, {}).to_dict()
    assert data == {
        "library_name": "toolbox",
        "pipeline_tag": "image-to-image",
        "tags": ["image-restoration", "edsr", "residual-conv"],
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("MIT", {"license": "mit"}),
        ("GPL-3.0-or-later", {"license": "gpl-3.0"}),
        ("S-Lab License 1.0", {"license": "other", "license_name": "S-Lab License 1.0"}),
    ],
)
def test_a_license_has_the_hub_s_name_or_is_another(given: str, expected: dict[str, str]) -> None:
    data = card_of(DENOISER, {}, given).to_dict()
    assert {key: value for key, value in data.items() if key.startswith("license")} == expected


def test_a_card_of_converted_weights_names_their_format() -> None:
    text = model_card(network(DENOISER, {"converted_from": "nlrn-tf"}), "net", "net.safetensors")
    assert text.endswith("## Origin\n\nConverted from a published checkpoint of the format `nlrn-tf`.\n")
    assert "-m net.safetensors\n" in text


# The picture.


def test_the_chart_has_every_gray_and_color() -> None:
    picture = chart()
    assert (picture.shape, picture.dtype) == ((SIDE, SIDE, 3), np.uint8)
    for corner in (picture[:96, :96], picture[:96, 96:], picture[96:, :96], picture[96:, 96:]):
        assert corner.max() - corner.min() > 200


def test_a_sheet_shows_the_degradation_of_the_training() -> None:
    conditioned = {**DENOISER, "conditions": {"sigma": {}}}
    shown = [
        chart_sheet(network(ENLARGER, {}), "net"),
        chart_sheet(network(DENOISER, NOISY), "net"),
        chart_sheet(network(conditioned, NOISY), "net"),
    ]
    assert all(sheet is not None and sheet.width > sheet.height > SIDE for sheet in shown)


@pytest.mark.parametrize(
    ("spec", "record"),
    [
        (DENOISER, {}),
        (DENOISER, {"recipe": {"degradation": [{"name": "no-such-degradation"}]}}),
        ({**DENOISER, "conditions": {"quality": {}}}, NOISY),
        ({**DENOISER, "channels": 2}, NOISY),
    ],
    ids=["no record", "not installed", "another condition", "two bands"],
)
def test_nothing_is_drawn_where_the_header_does_not_say_how(spec: dict[str, Any], record: dict[str, Any]) -> None:
    assert chart_sheet(network(spec, record), "net") is None
