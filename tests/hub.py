"""A small Hugging Face Hub on loopback: repositories in memory, over the part of its HTTP that Toolbox uses."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_right"  # noqa: S105  # of the one account of this hub
# The hub's own client uploads large files by a deprecated argument of its HTTP client.
UPLOAD_WARNING = "ignore:Use 'content=<...>' to upload raw:DeprecationWarning"
FILE = re.compile(r"/(?P<repo>[\w.-]+/[\w.-]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
API = re.compile(r"/api/models/(?P<repo>[\w.-]+/[\w.-]+)(/(?P<what>revision|preupload|commit)/(?P<revision>.+))?")
BATCH = re.compile(r"/(?P<repo>[\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch")


@dataclass
class Repo:
    """A repository: its commits, and the branches, tags and pull requests that point to them."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], ref: str = "main") -> str:
        """Add files to a branch, and return the commit."""
        tree = {**self.commits.get(self.refs.get(ref, self.refs.get("main", "")), {}), **files}
        commit = hashlib.sha1(repr((len(self.commits), tree)).encode(), usedforsecurity=False).hexdigest()
        self.commits[commit], self.refs[ref] = tree, commit
        return commit


@dataclass
class FakeHub:
    """The repositories, the uploads, and every request that came."""

    repos: dict[str, Repo] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    breaks_at: int | None = None  # bytes of a download before the connection breaks
    down: bool = False  # whether it answers every request with 503
    url: str = ""

    def environment(self, cache: Path, **more: str) -> dict[str, str]:
        """The environment of a process that uses this hub and a cache of its own."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
        own = {"HF_ENDPOINT": self.url, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1", "OMP_NUM_THREADS": "1"}
        return kept | own | {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"} | more

    def python(self, code: str, *arguments: str, cache: Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Run code in a process of its own; the folder of the cache is the current one."""
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=self.environment(cache / "hf", **more),
            cwd=cache,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


class Refused(Exception):
    """An answer of the hub that is an error."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """A hub that serves until the end of the context."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One request. Statuses and headers are those of the real hub, by which its client tells errors apart."""

    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.requests.append(f"{self.command} {self.path}")
        try:
            self._route(urlsplit(self.path).path, body)
        except Refused as refused:
            self._send(
                refused.message.encode(),
                refused.status,
                {"X-Error-Code": refused.code, "X-Error-Message": refused.message},
            )

    def _route(self, path: str, body: bytes) -> None:
        if self.hub.down:
            raise Refused(503)
        if match := FILE.fullmatch(path):
            self._file(*(unquote(part) for part in match.groups()))
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._send_json({"errors": [], "warnings": []})
        elif match := BATCH.fullmatch(path):
            self._batch(json.loads(body))
        elif path.startswith("/lfs/") and self.command == "PUT":
            self.hub.uploads[path.removeprefix("/lfs/")] = body
            self._send(b"")
        elif match := API.fullmatch(path):
            repo, revision = self._repo(match["repo"]), unquote(match["revision"] or "main")
            if match["what"] == "preupload":
                self._need_account()
                # The real hub keeps binary files in its large storage, by the same rule of suffixes.
                files = [each["path"] for each in json.loads(body)["files"]]
                modes = {name: "lfs" if name.endswith((".safetensors", ".png")) else "regular" for name in files}
                listed = [{"path": name, "uploadMode": mode, "shouldIgnore": False} for name, mode in modes.items()]
                self._send_json({"files": listed})
            elif match["what"] == "commit":
                self._commit(match["repo"], repo, body)
            else:
                commit = self._commit_of(repo, revision)
                siblings = [{"rfilename": name} for name in repo.commits.get(commit, {})]
                self._send_json(
                    {"id": match["repo"], "sha": commit or None, "private": repo.private, "siblings": siblings}
                )
        else:
            raise Refused(404)

    def _account(self) -> bool:
        given = self.headers.get("Authorization")
        if given is not None and given != f"Bearer {TOKEN}":
            raise Refused(401, message="Invalid credentials in Authorization header")
        return given is not None

    def _need_account(self) -> None:
        if not self._account():
            raise Refused(401, message="Invalid username or password.")

    def _repo(self, name: str) -> Repo:
        logged_in, repo = self._account(), self.hub.repos.get(name)
        if repo is None or (repo.private and not logged_in):
            raise Refused(404 if logged_in else 401, "RepoNotFound", "Repository not found")
        return repo

    def _commit_of(self, repo: Repo, revision: str) -> str:
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits and (revision != "main" or repo.commits):
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit if commit in repo.commits else ""

    def _file(self, name: str, revision: str, file: str) -> None:
        repo = self._repo(name)
        if repo.gated:
            raise Refused(403, "GatedRepo", f"Access to model {name} is restricted")
        commit = self._commit_of(repo, revision)
        content = repo.commits.get(commit, {}).get(file)
        if content is None:
            raise Refused(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        if self.command == "GET" and self.hub.breaks_at is not None:
            if self.headers.get("Range"):  # the client goes on where it was, and the hub is gone
                raise Refused(500)
            self._send(content, 200, headers, only=self.hub.breaks_at)
            self.close_connection = True
            return
        self._send(content, 200, headers)

    def _create(self, asked: dict[str, Any]) -> None:
        self._need_account()
        name = f"{asked['organization']}/{asked['name']}"
        if name.startswith("others/"):
            raise Refused(403, message="You don't have the rights to create a model under the namespace others")
        if name in self.hub.repos:
            self._send_json({"error": "exists", "url": f"{self.hub.url}/{name}"}, 409)
            return
        private = asked.get("private") is True or asked.get("visibility") == "private"
        self.hub.repos[name] = Repo(private)
        self._send_json({"url": f"{self.hub.url}/{name}", "name": name})

    def _batch(self, asked: dict[str, Any]) -> None:
        self._need_account()
        objects = [
            {**each, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{each['oid']}"}}} for each in asked["objects"]
        ]
        self._send_json({"objects": objects, "transfer": "basic"})

    def _commit(self, name: str, repo: Repo, body: bytes) -> None:
        self._need_account()
        files = {}
        for line in body.decode().splitlines():
            each = json.loads(line)
            if each["key"] == "file":
                files[each["value"]["path"]] = base64.b64decode(each["value"]["content"])
            elif each["key"] == "lfsFile":
                content = self.hub.uploads[each["value"]["oid"]]
                assert hashlib.sha256(content).hexdigest() == each["value"]["oid"]
                files[each["value"]["path"]] = content
        answer: dict[str, Any] = {"success": True}
        if parse_qs(urlsplit(self.path).query).get("create_pr") == ["1"]:
            number = sum(ref.startswith("refs/pr/") for ref in repo.refs) + 1
            commit = repo.commit(files, f"refs/pr/{number}")
            answer["pullRequestUrl"] = f"{self.hub.url}/{name}/discussions/{number}"
        else:
            commit = repo.commit(files)
        self._send_json({**answer, "commitOid": commit, "commitUrl": f"{self.hub.url}/{name}/commit/{commit}"})

    def _send_json(self, value: Any, status: int = 200) -> None:
        self._send(json.dumps(value).encode(), status, {"Content-Type": "application/json"})

    def _send(
        self, content: bytes, status: int = 200, headers: dict[str, str] | None = None, only: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            if value:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:only])
