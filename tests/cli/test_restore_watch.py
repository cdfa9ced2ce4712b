"""``toolbox restore --watch`` as a process: restarts, a change, a broken file, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Run
from tests.serving.client import pixels, png, until

pytest.importorskip("watchfiles", reason="the extra [serve] is not installed")


@contextmanager
def watching(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "toolbox", "restore", *map(str, arguments), "--watch", "--json"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        stdout=pipe,
        stderr=pipe,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a job in the background ignores
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line that it prints."""
    assert process.stdout is not None
    record: dict[str, Any] = json.loads(process.stdout.readline())
    return record


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code after Ctrl-C, and the last line on standard error."""
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    return process.returncode, errors.splitlines()[-1]


def test_a_watch_restores_what_comes_and_a_restart_what_is_missing(
    run: Run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scans, out = Path("scans"), Path("scans/out")
    scans.mkdir()
    (scans / "first.png").write_bytes(png(8, 12))
    arguments = (scans, "-o", f"{out}/", "-m", weights, "--scale", "2")
    with watching(*arguments) as process:
        assert told(process)["output"] == "scans/out/first.png"
        (scans / "second.png").write_bytes(png(8, 12, seed=1))
        assert told(process)["input"] == "scans/second.png"
        (scans / "broken.png").write_bytes(b"no picture")
        assert told(process)["error"] == "scans/broken.png: not a picture in a supported format"
        (scans / "first.png").write_bytes(png(9, 12))
        record = told(process)
        assert (record["input"], record["output_size"], record["replaced"]) == ("scans/first.png", [24, 18], True)
        assert ended(process) == (1, "stopped: 3 files are restored, 1 failed")
    assert not list(out.glob(".*"))

    (scans / "broken.png").unlink()
    (out / "second.png").unlink()
    (scans / "third.png").write_bytes(png(8, 12, seed=2))
    before = (out / "first.png").stat().st_mtime_ns
    with watching(*arguments) as process:
        assert {told(process)["input"] for _ in range(2)} == {"scans/second.png", "scans/third.png"}
        assert ended(process) == (0, "stopped: 2 files are restored, 0 failed")
    assert (out / "first.png").stat().st_mtime_ns == before
    run("restore", scans / "third.png", "-o", "plain.png", "-m", weights, "--scale", "2")
    assert (out / "third.png").read_bytes() == Path("plain.png").read_bytes()
    assert pixels((out / "first.png").read_bytes()).shape == (18, 24, 3)


def test_a_watch_that_is_killed_leaves_whole_files_and_goes_on(weights: Path, tmp_path: Path) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for number in range(12):
        (scans / f"{number}.png").write_bytes(png(40, 40, seed=number))
    arguments = (scans, "-o", f"{out}/", "-m", weights, "--scale", "3")
    with watching(*arguments) as process:
        told(process)
        process.kill()
    with watching(*arguments) as process:
        until(lambda: len(list(out.glob("*.png"))) == 12)
        ended(process)
    assert all(pixels(path.read_bytes()).shape == (120, 120, 3) for path in out.glob("*.png"))


def test_what_cannot_be_watched_is_refused(run: Run, photo: Path, tmp_path: Path) -> None:
    sentence = run("restore", photo, "-o", f"{tmp_path}/out/", "--watch").sentence
    assert sentence == f"got {photo} for --watch, expected a folder that exists"
