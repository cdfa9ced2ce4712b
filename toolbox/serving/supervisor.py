"""Start the worker process, give it one task at a time, kill it when it goes too far, and start it again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from toolbox.serving.limits import MB, Limits

START_SECONDS = 300.0  # a slow disk may take long to load PyTorch
LOOK = 0.2  # seconds between two looks at the memory of the worker
LINE = 16 * MB  # bytes of the longest message


class WorkerLost(Exception):
    """The worker ended, or was killed, before its task was done; the sentence says why."""


class TooSlow(WorkerLost):
    """The task took longer than it may."""


class Supervisor:
    """Owns the one worker process.

    Args:
        command: starts the worker, see ``worker.py``.
        limits: of time and memory.
        folder: for temporary files of the worker and its libraries.
    """

    def __init__(self, command: Sequence[str], limits: Limits, folder: Path) -> None:
        self._command = command
        self._environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
        self._limits = limits
        self._memory = int(limits.memory_share * psutil.virtual_memory().total)
        self._worker: _Worker | None = None

    @property
    def pid(self) -> int | None:
        """The number of the running process."""
        running = self._worker is not None and self._worker.process.returncode is None
        return self._worker.process.pid if self._worker is not None and running else None

    async def start(self) -> None:
        """Start the worker, and return when it takes tasks.

        Raises:
            WorkerLost: it does not start.
        """
        # In a session of its own, so that a Ctrl-C at the terminal is the server's to handle.
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, limit=LINE, start_new_session=True, env=self._environment
        )
        assert process.stdin is not None  # noqa: S101  # for mypy; both are pipes
        assert process.stdout is not None  # noqa: S101
        self._worker = _Worker(process, process.stdin, process.stdout)
        async with self._bounded(self._worker, START_SECONDS):
            await self._worker.message()

    async def run(self, task: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
        """Let the worker do a task; return its outcome, with ``report`` or with ``error`` and ``status``.

        Raises:
            WorkerLost: the worker ended first.
        """
        if self._worker is None:
            raise WorkerLost("found no worker")
        async with self._bounded(self._worker, self._limits.job_seconds):
            await self._worker.send(task)
            while "progress" in (message := await self._worker.message()):
                progress(message["progress"])
            return message

    async def kill(self) -> None:
        """End the worker now, whatever it does."""
        if self._worker is not None:
            await self._worker.kill()

    @contextlib.asynccontextmanager
    async def _bounded(self, worker: _Worker, seconds: float) -> AsyncIterator[None]:
        """Kill the worker, unless the block ends in time and within the memory."""
        watch = asyncio.create_task(self._watch(worker.process.pid))
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            await worker.kill()
            raise TooSlow(f"took longer than {seconds:g} s, so it was stopped") from None
        except WorkerLost:
            if watch.done():
                raise WorkerLost(f"took more than {self._memory / 1e9:.1f} GB of memory, so it was stopped") from None
            raise
        except asyncio.CancelledError:
            await worker.kill()
            raise
        finally:
            watch.cancel()

    async def _watch(self, pid: int) -> None:
        """Return once the worker has been killed because it took too much memory."""
        with contextlib.suppress(psutil.Error):
            worker = psutil.Process(pid)
            while worker.memory_info().rss <= self._memory:
                await asyncio.sleep(LOOK)
            worker.kill()
            return
        await asyncio.Event().wait()  # it ended by itself


@dataclass(frozen=True)
class _Worker:
    """A process, and the pipes to it and from it."""

    process: Process
    to: asyncio.StreamWriter
    out: asyncio.StreamReader

    async def send(self, task: dict[str, Any]) -> None:
        try:
            self.to.write(json.dumps(task).encode() + b"\n")
            await self.to.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise await self._lost() from None

    async def message(self) -> dict[str, Any]:
        line = await self.out.readline()
        if not line.endswith(b"\n"):
            raise await self._lost()
        message: dict[str, Any] = json.loads(line)
        return message

    async def kill(self) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()

    async def _lost(self) -> WorkerLost:
        code = await self.process.wait()
        if code >= 0:
            return WorkerLost(f"ended the worker with the code {code}")
        memory = ", as when the machine runs out of memory" if code == -signal.SIGKILL else ""
        return WorkerLost(f"ended the worker by {signal.Signals(-code).name}{memory}")
