"""Names on the Hugging Face Hub: parsed, fetched through its cache, and each failure in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import TOKEN, FakeHub, Repo, fake_hub
from toolbox.discovery import installed
from toolbox.errors import ToolboxError, WeightsError
from toolbox.hub import HubName, parse_hub_name, source_of
from toolbox.weights.file import find_weights

FETCH = """
import sys
from toolbox.errors import ToolboxError
from toolbox.hub import fetch
try:
    print(fetch(sys.argv[1]))
except ToolboxError as error:
    print(f"refused: {error}")
"""
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub() as server:
        yield server


def fetched(hub: FakeHub, name: str, cache: Path, **more: str) -> str:
    """What a process of its own gets for a name: a path, or a refusal."""
    done = hub.python(FETCH, name, cache=cache, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n")


# Names.


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hf://user/repo", HubName("user/repo")),
        ("hf://user/repo@v1.0", HubName("user/repo", "v1.0")),
        ("hf://user/repo/net.safetensors", HubName("user/repo", None, "net.safetensors")),
        ("hf://us-er/re.po_2@main/a/b c.safetensors", HubName("us-er/re.po_2", "main", "a/b c.safetensors")),
        (
            "hf://user/repo@refs/pr/12/net.safetensors",
            HubName("user/repo", "refs/pr/12", "net.safetensors"),
        ),
        ("hf://user/repo@refs/pr/12", HubName("user/repo", "refs/pr/12")),
        ("hf://user/repo@some%2Fbranch", HubName("user/repo", "some/branch")),
    ],
)
def test_a_name_has_a_repository_a_revision_and_a_file(name: str, expected: HubName) -> None:
    assert parse_hub_name(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "hf://",
        "hf://repo",
        "hf://user/",
        "hf://user/repo@",
        "hf://user/repo/",
        "hf://user/repo/../net.safetensors",
        "hf://user/repo//net.safetensors",
        "hf://user/repo/a\\..\\net.safetensors",
        "hf://example.com:80/repo",
        "hf://user/re po",
    ],
)
def test_a_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(WeightsError, match=r"expected hf://user/repo\[@revision\]\[/file\.safetensors\]$"):
        parse_hub_name(name)


def test_a_name_is_written_as_it_is_read() -> None:
    for name in ("hf://user/repo", "hf://user/repo@v1", "hf://user/repo@refs/pr/1/a.safetensors"):
        assert str(parse_hub_name(name)) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf://user/repo/net.pth", r"got the file net\.pth, expected one that ends in \.safetensors"),
        ("hf://user/repo/net.onnx", r"got the file net\.onnx, expected one that ends in \.safetensors"),
        ("user/repo", r"^user/repo: no such weights file; did you mean hf://user/repo\?$"),
        ("user/repo@v1", r"^user/repo@v1: no such weights file; did you mean hf://user/repo@v1\?$"),
        ("user/repo-1.5", r"did you mean hf://user/repo-1\.5\?$"),
        ("runs/net.safetensors", r"^runs/net\.safetensors: no such weights file$"),
        ("./user/repo", r"^user/repo: no such weights file$"),
        ("a/b/c", r"^a/b/c: no such weights file$"),
        ("https://example.com/net.safetensors", r"expected a name, a file or hf://.* from the Hugging Face Hub alone"),
        ("s3://bucket/net.safetensors", r"from the Hugging Face Hub alone, so download the file yourself"),
        ("https://huggingface.co/user/repo", r"got an address; did you mean hf://user/repo\?$"),
        ("https://hf.co/user/repo/tree/v1", r"did you mean hf://user/repo@v1\?$"),
        (
            "https://huggingface.co/user/repo/blob/main/a/net.safetensors",
            r"did you mean hf://user/repo/a/net\.safetensors\?$",
        ),
        (
            "https://huggingface.co/user/repo/resolve/v1/net.safetensors?download=true",
            r"did you mean hf://user/repo@v1/net\.safetensors\?$",
        ),
        ("https://huggingface.co.example.com/user/repo", r"from the Hugging Face Hub alone"),
    ],
)
def test_a_name_that_is_no_model_is_refused_without_a_request(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.socket.connect", None)
    with pytest.raises(ToolboxError, match=message) as caught:
        find_weights(name, installed())
    assert "\n" not in str(caught.value)


def test_a_file_of_that_name_comes_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "repo").touch()
    assert find_weights("user/repo", installed()) == Path("user/repo")


def test_a_file_of_the_cache_knows_its_commit() -> None:
    folder = Path("/cache/hub/models--user--a-repo/snapshots") / COMMIT
    assert source_of(folder / "nets" / "a.safetensors") == f"hf://user/a-repo@{COMMIT}/nets/a.safetensors"
    for other in (Path("a.safetensors"), Path("/models--user--repo/a.safetensors"), folder):
        assert source_of(other) is None


# Downloads.


def test_a_file_is_downloaded_once_and_used_offline(hub: FakeHub, tmp_path: Path) -> None:
    commit = hub.repos.setdefault("user/repo", Repo()).commit({"net.safetensors": b"tensors", "README.md": b"page"})
    path = Path(fetched(hub, "hf://user/repo", tmp_path))
    assert path.read_bytes() == b"tensors"
    assert source_of(path) == f"hf://user/repo@{commit}/net.safetensors"
    hub.requests.clear()
    for name in ("hf://user/repo", "hf://user/repo/net.safetensors", f"hf://user/repo@{commit}/net.safetensors"):
        assert fetched(hub, name, tmp_path, HF_HUB_OFFLINE="1") == str(path)
    assert fetched(hub, f"hf://user/repo@{commit}/net.safetensors", tmp_path) == str(path)
    assert hub.requests == []
    assert fetched(hub, "hf://user/repo", tmp_path) == str(path)
    assert not [request for request in hub.requests if request.startswith("GET") and "/resolve/" in request]


def test_a_hub_that_is_down_leaves_the_cache(hub: FakeHub, tmp_path: Path) -> None:
    hub.repos.setdefault("user/repo", Repo()).commit({"net.safetensors": b"tensors"})
    path = fetched(hub, "hf://user/repo", tmp_path)
    hub.down = True
    assert fetched(hub, "hf://user/repo", tmp_path) == path


def test_a_revision_is_a_branch_a_tag_a_commit_or_a_pull_request(hub: FakeHub, tmp_path: Path) -> None:
    repo = hub.repos.setdefault("user/repo", Repo())
    first = repo.commit({"net.safetensors": b"first"})
    repo.refs["v1"] = first
    repo.commit({"net.safetensors": b"proposed"}, "refs/pr/1")
    repo.commit({"net.safetensors": b"second"})
    expected = {"": b"second", "@main": b"second", "@v1": b"first", f"@{first}": b"first", "@refs/pr/1": b"proposed"}
    for revision, content in expected.items():
        assert Path(fetched(hub, f"hf://user/repo{revision}", tmp_path)).read_bytes() == content
    assert Path(fetched(hub, "hf://user/repo@v1/net.safetensors", tmp_path)).read_bytes() == b"first"


def test_a_private_repository_needs_a_token(hub: FakeHub, tmp_path: Path) -> None:
    hub.repos.setdefault("user/repo", Repo(private=True)).commit({"net.safetensors": b"tensors"})
    for name in ("hf://user/repo", "hf://user/repo/net.safetensors"):
        assert fetched(hub, name, tmp_path) == (
            f"refused: {name}: the hub has no repository user/repo that you may see; check the name, and if it is "
            "private, log in with `hf auth login`, or set HF_TOKEN"
        )
        assert "(401)" in fetched(hub, name, tmp_path, HF_TOKEN=f"not-{TOKEN}")
    assert Path(fetched(hub, "hf://user/repo", tmp_path, HF_TOKEN=TOKEN)).read_bytes() == b"tensors"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("hf://user/none", "the hub has no repository user/none that you may see; check the name, and if it is "),
        ("hf://user/none/net.safetensors", "the hub has no repository user/none that you may see; check the name, "),
        ("hf://user/repo@v2", "user/repo has no revision v2; give a branch, a tag or a commit of it"),
        ("hf://user/repo@v2/a.safetensors", "user/repo has no revision v2; give a branch, a tag or a commit of it"),
        ("hf://user/repo", "has several weights files; add one of /a.safetensors, /b.safetensors"),
        (
            "hf://user/repo/aa.safetensors",
            "user/repo has no file aa.safetensors; did you mean 'a.safetensors', 'b.safe",
        ),
        ("hf://user/pickles", "expected a .safetensors file in the repository, which has only config.json, net.pth"),
        ("hf://user/pickles/net.safetensors", "user/pickles has no file net.safetensors; it has no .safetensors file"),
        ("hf://user/empty", "expected a .safetensors file in the repository, which has nothing"),
        ("hf://user/gated", "the authors of user/gated give it to accepted users alone; ask them on its page"),
        ("hf://user/a--b", "the hub has no such names; expected hf://user/repo[@revision][/file.safetensors]"),
    ],
)
def test_a_failure_is_one_sentence(name: str, reason: str, hub: FakeHub, tmp_path: Path) -> None:
    hub.repos = {"user/repo": Repo(), "user/pickles": Repo(), "user/empty": Repo(), "user/gated": Repo(gated=True)}
    hub.repos["user/repo"].commit({"a.safetensors": b"", "b.safetensors": b""})
    hub.repos["user/pickles"].commit({"net.pth": b"", "config.json": b""})
    hub.repos["user/gated"].commit({"a.safetensors": b""})
    got = fetched(hub, name, tmp_path, HF_TOKEN=TOKEN)
    assert got.startswith(f"refused: {name}: {reason}")
    assert "\n" not in got


def test_what_is_not_in_the_cache_needs_the_hub(hub: FakeHub, tmp_path: Path) -> None:
    for name in ("hf://user/repo", "hf://user/repo@v1/net.safetensors"):
        assert fetched(hub, name, tmp_path, HF_HUB_OFFLINE="1") == (
            f"refused: {name}: is not in the cache, and HF_HUB_OFFLINE is set; connect once to download it"
        )
    assert hub.requests == []
    nobody = "http://127.0.0.1:9"
    assert fetched(hub, "hf://user/repo", tmp_path, HF_ENDPOINT=nobody) == (
        "refused: hf://user/repo: is not in the cache, and the hub cannot be reached; connect once to download it"
    )


def test_an_interrupted_download_leaves_nothing_and_is_tried_again(hub: FakeHub, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096
    hub.repos.setdefault("user/repo", Repo()).commit({"net.safetensors": content})
    hub.breaks_at = 100_000
    got = fetched(hub, "hf://user/repo/net.safetensors", tmp_path)
    assert got.startswith("refused: hf://user/repo/net.safetensors: the hub did not finish (")
    assert got.endswith("); try again")
    assert not list(tmp_path.rglob("net.safetensors"))
    hub.breaks_at = None
    assert Path(fetched(hub, "hf://user/repo/net.safetensors", tmp_path)).read_bytes() == content
