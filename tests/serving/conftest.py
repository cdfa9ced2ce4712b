"""One server for all tests of a session, with small limits and a tiny network of a catalog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

import toolbox
from tests.cli.command import NET
from tests.parts import restorer_of
from tests.serving.client import Server, running, until

pytest.importorskip("uvicorn", reason="the extra [serve] is not installed")
TINY = "tiny"  # the network of the catalog, for any size


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog with a tiny network that has weights."""
    folder = tmp_path_factory.mktemp("catalog")
    toolbox.save(restorer_of(NET).float(), folder / "tiny.safetensors")
    entry = {**NET, "summary": "a tiny network", "weights": "tiny.safetensors"}
    (folder / "mine.yaml").write_text(yaml.safe_dump({TINY: entry}), encoding="utf-8")
    return folder / "mine.yaml"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, catalog: Path) -> Iterator[Server]:
    """The server, which must end well."""
    options = ("--max-upload", "2", "--max-pixels", "0.5", "--max-seconds", "60", "--max-waiting", "3")
    with running(tmp_path_factory.mktemp("server"), "--catalog", str(catalog), "--threads", "1", *options) as server:
        with server.client() as client:
            until(lambda: client.get("/api/models").status_code == 200, 300)
        yield server
        assert server.stop() == 0
        assert list(server.folder.iterdir()) == []
        assert "Traceback" not in server.log.read_text(encoding="utf-8")


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client
