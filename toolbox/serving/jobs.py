"""The jobs of a server: a bounded number that wait, one in the worker, and some that are kept for their clients."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from toolbox.serving.job import Job
from toolbox.serving.limits import Limits
from toolbox.serving.refusal import Refused
from toolbox.serving.supervisor import Supervisor, TooSlow, WorkerLost

LOG = logging.getLogger(__name__)
TIDY = 5.0  # seconds between two looks for jobs that are kept too long
REST = 2.0  # seconds for the rest of a job that is stopped, which may cost less than another worker
PAUSES = (0.0, 1.0, 5.0, 30.0)  # seconds before another start of a worker that did not start
STOPPING = "the server is stopping; send the picture again later"


class Jobs:
    """Runs jobs in turn.

    Args:
        worker: does them.
        limits: of numbers, times and bytes.
        folder: private, for the files of all jobs.
    """

    def __init__(self, worker: Supervisor, limits: Limits, folder: Path) -> None:
        self.worker, self.limits, self.folder = worker, limits, folder
        self.models: list[dict[str, Any]] = []  # ready, once the worker has started
        self._jobs: dict[str, Job] = {}
        self._queue: asyncio.Queue[Job] = asyncio.Queue()
        self._uploads = 0
        self._seconds: deque[float] = deque([2.0], maxlen=16)  # of the latest jobs
        self._ready = asyncio.Event()
        self._failures = 0  # of the worker's latest starts
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False

    # For the server

    def begin(self) -> None:
        """Start the worker, and take jobs."""
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._tidy_often())]

    async def stop(self) -> None:
        """End every job with a word to its client, and the worker."""
        self._stopped = True
        for job in self._jobs.values():
            if not job.has_ended:
                job.fail(STOPPING, 503, "stopped")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.worker.kill()

    # For clients

    @property
    def waiting(self) -> int:
        """Uploads, and jobs that wait."""
        return self._uploads + sum(job.state == "waiting" for job in self._jobs.values())

    @property
    def state(self) -> str:
        """Of the worker: starting, ready, busy or failing."""
        if any(job.state == "running" for job in self._jobs.values()):
            return "busy"
        if self.worker.pid is not None and self._ready.is_set():
            return "ready"
        return "failing" if self._failures > 1 else "starting"

    async def ready(self, seconds: float = 60.0) -> list[dict[str, Any]]:
        """The models, once the worker has started.

        Raises:
            Refused: it does not start.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._ready.wait()
        except TimeoutError:
            raise Refused(503, "the worker has not started yet; try again later", {"Retry-After": "5"}) from None
        return self.models

    @contextlib.contextmanager
    def uploading(self) -> Iterator[None]:
        """Take a place for an upload, which its job then takes.

        Raises:
            Refused: no place is free, or the server is stopping.
        """
        if self._stopped:
            raise Refused(503, STOPPING)
        if self.waiting >= self.limits.waiting:
            seconds = min(600, max(1, math.ceil(fmean(self._seconds))))
            sentence = f"{self.limits.waiting} pictures are waiting, as many as may; try again in {seconds} s"
            raise Refused(429, sentence, {"Retry-After": str(seconds)})
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    def new(self, **values: Any) -> Job:
        """A job with a folder of its own, to be filled and then submitted."""
        name = secrets.token_urlsafe(16)
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        return Job(id=name, folder=folder, **values)

    def submit(self, job: Job) -> None:
        """Let a job wait for its turn.

        Raises:
            Refused: the server is stopping.
        """
        if self._stopped:
            job.remove_files()
            raise Refused(503, STOPPING)
        self._jobs[job.id] = job
        self._queue.put_nowait(job)

    def find(self, name: str) -> Job:
        """The job of that id.

        Raises:
            Refused: there is none, or no more.
        """
        if name not in self._jobs:
            raise Refused(404, "no such job; jobs are removed some time after their end")
        return self._jobs[name]

    async def discard(self, job: Job) -> None:
        """Stop a job if it has not ended, and remove it with its files."""
        running = job.state == "running"
        if not job.has_ended:
            job.fail("the job was stopped", 409, "stopped")
        self._jobs.pop(job.id, None)
        if running:
            try:
                async with asyncio.timeout(REST):
                    await job.left.wait()
            except TimeoutError:
                await self.worker.kill()  # another one is started at once
        job.remove_files()

    # In turn

    async def _work(self) -> None:
        while True:
            await self._started()
            job = await self._queue.get()
            if job.state == "waiting":
                await self._run(job)
                self._tidy()

    async def _started(self) -> None:
        """Return with a worker that runs. The next job in the queue fails with every start that does."""
        while self.worker.pid is None:
            await asyncio.sleep(PAUSES[min(self._failures, len(PAUSES) - 1)])
            try:
                await self.worker.start()
                self.models = self.models or await self._load_models()
            except WorkerLost as error:
                self._failures += 1
                LOG.warning("the worker did not start: %s", error)
                while not self._queue.empty():
                    job = self._queue.get_nowait()
                    if job.state == "waiting":
                        job.fail("the worker does not start; `toolbox doctor` may say why", 503)
            else:
                self._failures = 0
                self._ready.set()

    async def _load_models(self) -> list[dict[str, Any]]:
        """Let the worker load its models.

        Raises:
            WorkerLost: it cannot, for instance because the machine has no such device.
        """
        outcome = await self.worker.run({"kind": "models"}, lambda _: None)
        if "report" not in outcome:
            await self.worker.kill()
            raise WorkerLost(outcome["error"])
        models: list[dict[str, Any]] = outcome["report"]
        return models

    async def _run(self, job: Job) -> None:
        job.start()
        task = {"kind": job.kind, "folder": str(job.folder), "name": job.name, "options": job.options}
        began = time.monotonic()
        try:
            outcome = await self.worker.run(task | {"views": job.views}, job.advance)
        except WorkerLost as error:
            outcome = {"error": f"{job.name}: the job {error}", "status": 504 if isinstance(error, TooSlow) else 500}
        finally:
            job.left.set()
        self._seconds.append(time.monotonic() - began)
        if job.has_ended:  # it was stopped meanwhile
            return
        if "report" in outcome:
            job.finish(outcome["report"])
        else:
            job.fail(outcome["error"], outcome["status"])
        LOG.info("%s %s in %.1f s", job.kind, job.state, self._seconds[-1])

    async def _tidy_often(self) -> None:
        while True:
            await asyncio.sleep(TIDY)
            self._tidy()

    def _tidy(self) -> None:
        """Remove the oldest of the jobs that have ended, until the rest is within the limits."""
        ended = sorted((job for job in self._jobs.values() if job.has_ended), key=lambda job: job.ended or 0)
        kept_bytes, latest = sum(job.bytes for job in ended), time.monotonic() - self.limits.kept_seconds
        for number, job in enumerate(ended):
            left = len(ended) - number
            if left <= self.limits.kept and kept_bytes <= self.limits.kept_bytes and (job.ended or 0) >= latest:
                break
            del self._jobs[job.id]
            kept_bytes -= job.bytes
            job.remove_files()
