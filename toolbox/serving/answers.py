"""What the API answers: the shapes of its JSON, and files that are removed once they are sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from toolbox.serving.job import Job, State


class Model(BaseModel):
    """A network that is ready to run."""

    name: str
    purpose: str
    sizes: str | int
    summary: str
    protocol: str | None
    psnr: dict[str, float]
    seconds_per_megapixel: float


class Bounds(BaseModel):
    """What the server accepts."""

    upload_bytes: int
    pixels: int
    job_seconds: float
    waiting: int


class Health(BaseModel):
    """The state of the server."""

    version: str
    worker: str
    waiting: int
    limits: Bounds


class JobRecord(BaseModel):
    """A job, as the events and the API tell of it."""

    id: str
    name: str
    state: State
    progress: float
    report: dict[str, Any] | None
    error: str | None


class Error(BaseModel):
    """Why there is no other answer."""

    error: str


class SentOnce(FileResponse):
    """A file; ``after`` is awaited when it was sent or its client went away."""

    def __init__(self, path: Path, after: Callable[[], Awaitable[None]], **options: Any) -> None:
        super().__init__(path, **options)
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._after()


def file_of(job: Job, name: str) -> tuple[Path, str]:
    """The path and the media type of a file of a job that is done."""
    file = job.files[name]
    return job.folder / file["path"], file["media_type"]
