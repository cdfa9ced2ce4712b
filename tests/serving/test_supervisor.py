"""The worker process: killed when it goes too far, started again, and gone with the server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.serving.client import until
from toolbox.serving.limits import Limits
from toolbox.serving.supervisor import Supervisor, TooSlow, WorkerLost

# A worker that needs no PyTorch: the task is a line of Python that may call say().
WORKER = """
import json, os, signal, sys, time
def say(message):
    print(json.dumps(message), flush=True)
say({"ready": True})
for line in sys.stdin:
    exec(json.loads(line)["do"])
"""
TASK = "say({'progress': 0.5}); say({'report': {'answer': 42}})"


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 60))


def supervisor(**limits: Any) -> Supervisor:
    return Supervisor((sys.executable, "-c", WORKER), Limits(**limits), Path(tempfile.gettempdir()))


def test_a_task_is_done_and_its_progress_heard() -> None:
    async def work() -> None:
        worker, heard = supervisor(), list[float]()
        await worker.start()
        assert await worker.run({"do": TASK}, heard.append) == {"report": {"answer": 42}}
        assert heard == [0.5]
        await worker.kill()
        assert worker.pid is None

    run(work())


@pytest.mark.parametrize(
    ("task", "limits", "reason"),
    [
        ("time.sleep(60)", {"job_seconds": 0.5}, r"^took longer than 0\.5 s, so it was stopped$"),
        ("while True: pass", {"job_seconds": 0.5}, "^took longer"),
        ("os.kill(os.getpid(), signal.SIGKILL)", {}, "^ended the worker by SIGKILL, as when the machine runs out"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", {}, "^ended the worker by SIGSEGV$"),
        ("os._exit(3)", {}, "^ended the worker with the code 3$"),
        ("kept = bytearray(300_000_000); time.sleep(60)", {"memory": 2e8}, r"^took more than 0\.2 GB of memory"),
    ],
)
def test_a_task_that_goes_too_far_ends_the_worker_and_the_next_one_has_another(
    task: str, limits: dict[str, float], reason: str
) -> None:
    total = psutil.virtual_memory().total
    limits = {"memory_share": limits.pop("memory") / total, **limits} if "memory" in limits else limits

    async def work() -> None:
        worker = supervisor(**limits)
        await worker.start()
        first = worker.pid
        with pytest.raises(WorkerLost, match=reason) as error:
            await worker.run({"do": task}, lambda _: None)
        assert isinstance(error.value, TooSlow) == ("longer" in reason)
        assert worker.pid is None
        await worker.start()
        assert worker.pid not in (None, first)
        assert await worker.run({"do": TASK}, lambda _: None) == {"report": {"answer": 42}}
        await worker.kill()

    run(work())


def test_a_worker_that_does_not_start_is_reported() -> None:
    async def work() -> None:
        with pytest.raises(WorkerLost, match=r"^ended the worker with the code 7$"):
            await Supervisor((sys.executable, "-c", "raise SystemExit(7)"), Limits(), Path()).start()

    run(work())


def test_the_worker_of_toolbox_ends_with_its_server_in_the_midst_of_its_start_or_work() -> None:
    """The real worker, whose standard input ends, as when its server is killed."""
    command = [sys.executable, "-m", "toolbox.serving.worker", '{"tasks": {"pixels": 1000}, "threads": 1}']
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b'{"ready": true}\n'
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups of this kind")
def test_the_worker_does_not_hear_a_ctrl_c_at_the_terminal() -> None:
    async def work() -> None:
        worker = supervisor()
        await worker.start()
        assert worker.pid is not None
        assert os.getpgid(worker.pid) != os.getpgid(0)
        await worker.kill()

    run(work())


def test_a_killed_worker_leaves_no_process() -> None:
    async def work() -> None:
        worker = supervisor()
        await worker.start()
        pid = worker.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerLost, match="SIGKILL"):
            await worker.run({"do": TASK}, lambda _: None)
        until(lambda: not psutil.pid_exists(pid), 10)

    began = time.monotonic()
    run(work())
    assert time.monotonic() - began < 60
