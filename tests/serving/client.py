"""A real server in a process of its own, and what its clients need."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

PATIENCE = 120.0  # seconds, since a machine may be busy


@dataclass(frozen=True)
class Server:
    """A running ``toolbox serve``."""

    process: subprocess.Popen[str]
    url: str
    token: str | None
    folder: Path  # of temporary files
    log: Path  # what it says on standard error

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    def client(self, **options: Any) -> httpx.Client:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, timeout=PATIENCE, headers=headers, **options)

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def files(self) -> list[Path]:
        """The files of pictures; the server's own lock is none."""
        found = self.folder.glob("toolbox-serve-*/**/*")
        return [path for path in found if path.is_file() and path.name != "lock"]

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def running(folder: Path, *options: str, **variables: str) -> Iterator[Server]:
    """``toolbox serve`` with options, which is stopped at the end. Its temporary files are in ``folder``.

    The variables are those of its environment.
    """
    temporary, log = folder / "temporary", folder / "log"
    temporary.mkdir()
    command = [sys.executable, "-m", "toolbox", "serve", "--port", "0", "--no-open", *options]
    environment = os.environ | {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | variables
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("serving at http://"), log.read_text(encoding="utf-8")
            url, _, token = line.split()[2].partition("#")
            yield Server(process, url, token or None, temporary, log)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(PATIENCE)


def until(condition: Any, seconds: float = PATIENCE) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def png(height: int, width: int, *, dtype: Any = np.uint8, channels: int = 3, seed: int = 0) -> bytes:
    """A smooth picture with noise."""
    import imagecodecs

    rows, columns = np.mgrid[:height, :width]
    smooth = np.stack([0.5 + 0.3 * np.sin(rows / 9 + shift) * np.cos(columns / 7) for shift in range(channels)], 2)
    noisy = smooth + np.random.default_rng(seed).normal(0, 0.05, smooth.shape)
    values = (noisy.clip(0, 1) * np.iinfo(dtype).max).astype(dtype)
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(values), level=1))


def form(data: bytes, name: str = "photo.png") -> dict[str, tuple[str, bytes, str]]:
    """The files of a form with one picture."""
    return {"picture": (name, data, "application/octet-stream")}


def submitted(client: httpx.Client, data: bytes, name: str = "photo.png", **fields: Any) -> str:
    """The id of a new job."""
    answer = client.post("/api/restore", files=form(data, name), data=fields, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def followed(client: httpx.Client, job: str) -> list[dict[str, Any]]:
    """Every event of a job until it ends."""
    with client.stream("GET", f"/api/jobs/{job}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]


def pixels(data: bytes) -> np.ndarray[Any, Any]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)
