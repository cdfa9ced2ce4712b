"""The queue: bounded, in turn, and with a word to every client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from toolbox.serving.job import PICTURE, Job
from toolbox.serving.jobs import Jobs
from toolbox.serving.limits import Limits
from toolbox.serving.refusal import Refused
from toolbox.serving.supervisor import Supervisor, TooSlow, WorkerLost


class Worker(Supervisor):
    """A worker in this process, whose tasks end when the test says so."""

    def __init__(self, limits: Limits, failures: int = 0, fault: str = "") -> None:
        super().__init__((), limits, Path())
        self.fault = fault  # of loading the models, in the place of a failure to start
        self.failures, self.starts, self.done = failures, 0, list[str]()
        self._alive, self._outcome = False, asyncio.get_running_loop().create_future()
        self._outcome.cancel()  # no task runs yet

    @property
    def pid(self) -> int | None:
        return 1 if self._alive else None

    async def start(self) -> None:
        self.starts += 1
        if self.starts <= self.failures and not self.fault:
            raise WorkerLost("ended the worker with the code 1")
        self._alive = True

    async def run(self, task: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
        if task["kind"] == "models":
            return {"error": self.fault, "status": 422} if self.fault else {"report": [{"name": "one"}]}
        self._outcome = asyncio.get_running_loop().create_future()
        progress(0.25)
        try:
            outcome: dict[str, Any] = await self._outcome
        except WorkerLost:
            self._alive = False
            raise
        self.done.append(task["name"])
        return outcome

    async def kill(self) -> None:
        self._alive = False
        self.end(WorkerLost("ended the worker by SIGKILL"))

    def end(self, outcome: dict[str, Any] | WorkerLost | None = None) -> None:
        """The running task ends."""
        if not self._outcome.done():
            if isinstance(outcome, WorkerLost):
                self._outcome.set_exception(outcome)
            else:
                self._outcome.set_result(outcome or {"report": {"model": "one"}})


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))


async def begun(folder: Path, failures: int = 0, fault: str = "", **limits: Any) -> tuple[Jobs, Worker]:
    bounds = Limits(**limits)
    worker = Worker(bounds, failures, fault)
    jobs = Jobs(worker, bounds, folder)
    jobs.begin()
    if not failures:
        await jobs.ready()
    return jobs, worker


def submitted(jobs: Jobs, name: str = "photo.png", size: int = 10) -> Job:
    job = jobs.new(kind="restore", name=name)
    (job.folder / PICTURE).mkdir()
    (job.folder / PICTURE / name).write_bytes(bytes(size))
    jobs.submit(job)
    return job


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_jobs_are_done_in_turn(tmp_path: Path) -> None:
    async def test() -> None:
        jobs, worker = await begun(tmp_path)
        made = [submitted(jobs, f"{number}.png") for number in range(3)]
        await settled()
        assert [job.state for job in made] == ["running", "waiting", "waiting"]
        assert made[0].progress == 0.25
        for job in made:
            worker.end()
            await job.wait()
            await settled()
        assert worker.done == ["0.png", "1.png", "2.png"]
        assert made[2].record()["report"] == {"model": "one"}
        await jobs.stop()

    run(test)


def test_a_full_queue_says_when_to_come_back(tmp_path: Path) -> None:
    async def test() -> None:
        jobs, _ = await begun(tmp_path, waiting=2)
        submitted(jobs)
        await settled()  # runs, and does not wait
        submitted(jobs)
        with jobs.uploading():
            sentence = r"^2 pictures are waiting, as many as may; try again in 2 s$"
            with pytest.raises(Refused, match=sentence) as error, jobs.uploading():
                pass
            assert error.value.status == 429
            assert error.value.headers == {"Retry-After": "2"}
        with jobs.uploading():  # the upload that ended gave its place back
            pass
        await jobs.stop()

    run(test)


def test_stopping_the_server_tells_every_job(tmp_path: Path) -> None:
    async def test() -> None:
        jobs, _ = await begun(tmp_path)
        made = [submitted(jobs) for _ in range(3)]
        await settled()
        await jobs.stop()
        assert [job.state for job in made] == ["stopped"] * 3
        assert {job.status for job in made} == {503}
        assert all("the server is stopping" in str(job.error) for job in made)
        with pytest.raises(Refused, match="the server is stopping"), jobs.uploading():
            pass

    run(test)


def test_a_running_job_that_is_discarded_may_end_before_the_worker_is_killed(tmp_path: Path) -> None:
    async def test() -> None:
        jobs, worker = await begun(tmp_path)
        job = submitted(jobs)
        await settled()
        gone = asyncio.create_task(jobs.discard(job))
        await settled()
        assert job.state == "stopped"
        worker.end()
        await gone
        assert worker.starts == 1
        assert not job.folder.exists()
        await jobs.stop()

    run(test)


def test_a_running_job_that_is_discarded_frees_the_worker_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolbox.serving.jobs.REST", 0.1)

    async def test() -> None:
        jobs, worker = await begun(tmp_path)
        first, second = submitted(jobs, "first.png"), submitted(jobs, "second.png")
        await settled()
        await jobs.discard(first)
        await settled()
        assert (first.state, second.state) == ("stopped", "running")
        assert worker.starts == 2
        assert not first.folder.exists()
        with pytest.raises(Refused, match="no such job"):
            jobs.find(first.id)
        await jobs.stop()

    run(test)


def test_a_waiting_job_that_is_discarded_never_runs(tmp_path: Path) -> None:
    async def test() -> None:
        jobs, worker = await begun(tmp_path)
        first, second, third = (submitted(jobs, f"{number}.png") for number in range(3))
        await settled()
        await jobs.discard(second)
        worker.end()
        await first.wait()
        await settled()
        worker.end()
        await third.wait()
        assert worker.done == ["0.png", "2.png"]
        assert worker.starts == 1
        await jobs.stop()

    run(test)


@pytest.mark.parametrize(
    ("outcome", "status", "sentence"),
    [
        ({"error": "photo.png: not a picture", "status": 422}, 422, "photo.png: not a picture"),
        (TooSlow("took longer than 1 s"), 504, "photo.png: the job took longer than 1 s"),
        (WorkerLost("ended the worker by SIGSEGV"), 500, "photo.png: the job ended the worker by SIGSEGV"),
    ],
)
def test_a_job_that_fails_says_why_and_the_next_one_is_done(
    outcome: Any, status: int, sentence: str, tmp_path: Path
) -> None:
    async def test() -> None:
        jobs, worker = await begun(tmp_path)
        first, second = submitted(jobs), submitted(jobs)
        await settled()
        worker.end(outcome)
        await first.wait()
        assert (first.state, first.status, first.error) == ("failed", status, sentence)
        await settled()
        worker.end()
        await second.wait()
        assert second.state == "done"
        await jobs.stop()

    run(test)


def test_a_worker_that_does_not_start_fails_the_jobs_and_is_tried_again(tmp_path: Path) -> None:
    async def test() -> None:
        jobs, worker = await begun(tmp_path, failures=1)
        job = submitted(jobs)
        await job.wait()
        assert job.status == 503
        assert "does not start" in str(job.error)
        assert await jobs.ready(20) == [{"name": "one"}]
        assert worker.starts == 2
        await jobs.stop()

    run(test)


def test_models_that_cannot_be_loaded_are_as_a_worker_that_does_not_start(tmp_path: Path) -> None:
    async def test() -> None:
        jobs, worker = await begun(tmp_path, failures=1, fault="got device cuda, which this machine does not do")
        job = submitted(jobs)
        await job.wait()
        assert job.status == 503
        assert worker.pid is None
        await jobs.stop()

    run(test)


@pytest.mark.parametrize(("limits", "kept"), [({"kept": 2}, 2), ({"kept_bytes": 35}, 3), ({"kept_seconds": -1.0}, 0)])
def test_jobs_that_have_ended_are_kept_within_limits(limits: dict[str, Any], kept: int, tmp_path: Path) -> None:
    async def test() -> None:
        jobs, worker = await begun(tmp_path, **limits)
        made = []
        for number in range(5):
            made.append(submitted(jobs, f"{number}.png"))
            await settled()
            worker.end()
            await made[-1].wait()
        await settled()
        assert [job.folder.exists() for job in made] == [False] * (5 - kept) + [True] * kept
        await jobs.stop()

    run(test)
