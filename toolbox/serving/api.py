"""The routes of the server: the page, and the API beside it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp

from toolbox.serving.answers import Bounds, Error, Health, JobRecord, Model, SentOnce, file_of
from toolbox.serving.archive import write_archive
from toolbox.serving.events import events
from toolbox.serving.gate import Gate, Rules
from toolbox.serving.job import Job
from toolbox.serving.jobs import Jobs
from toolbox.serving.options import form_schema, options_of
from toolbox.serving.page import page
from toolbox.serving.refusal import Refused
from toolbox.serving.uploads import received

ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": Error, "description": "The form is damaged."},
    413: {"model": Error, "description": "The upload, the picture or its result is too large."},
    415: {"model": Error, "description": "The body is no form."},
    422: {"model": Error, "description": "The picture cannot be read or restored so."},
    429: {"model": Error, "description": "Too many pictures wait; Retry-After says for how long to wait."},
    503: {"model": Error, "description": "The server is starting or stopping."},
    504: {"model": Error, "description": "The job took too long."},
}
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": Error, "description": "There is no such job, or no more."}}
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {}}, "description": "The picture."},
    409: {"model": Error, "description": "The job has not ended, or it failed."},
}
ASYNC = "respond-async"  # of the header Prefer, RFC 7240


def create_app(jobs: Jobs, rules: Rules, version: str) -> ASGIApp:
    """The server as an ASGI app; it begins and stops the jobs."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        jobs.begin()
        yield
        await jobs.stop()

    app = FastAPI(
        title="Toolbox",
        version=version,
        summary="Restore pictures.",
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,  # it would load scripts from another host
        redoc_url=None,
    )
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _wrong_query)
    _add_pages(app, jobs, version)
    _add_work(app, jobs)
    _add_jobs(app, jobs)
    return Gate(app, rules)


def _add_pages(app: FastAPI, jobs: Jobs, version: str) -> None:
    @app.get("/", include_in_schema=False)
    async def show_page() -> HTMLResponse:
        whole = page()
        return HTMLResponse(whole.html, headers={"Content-Security-Policy": whole.policy})

    @app.get("/api/health")
    async def health() -> Health:
        """The state of the worker, and what the server accepts."""
        limits = jobs.limits
        bounds = Bounds(
            upload_bytes=limits.upload, pixels=limits.pixels, job_seconds=limits.job_seconds, waiting=limits.waiting
        )
        return Health(version=version, worker=jobs.state, waiting=jobs.waiting, limits=bounds)

    @app.get("/api/models", responses={503: ERRORS[503]})
    async def models() -> list[Model]:
        """The networks that are ready, as `toolbox models --json` prints them."""
        return [Model(**record) for record in await jobs.ready()]


def _add_work(app: FastAPI, jobs: Jobs) -> None:
    @app.post("/api/inspect", response_class=JSONResponse, responses=ERRORS, openapi_extra=form_schema(True))
    async def inspect(request: Request) -> Response:
        """What a picture suffers from, as `toolbox inspect --json` prints it."""
        job = await _submitted(request, jobs, "inspect")
        async with _discarded(job, jobs):
            await _waited(job, request)
            return JSONResponse(job.report)

    @app.post(
        "/api/restore",
        response_class=FileResponse,
        responses={**ERRORS, 200: PICTURE[200], 202: {"model": JobRecord, "description": "The job, if preferred."}},
        openapi_extra=form_schema(),
    )
    async def restore(request: Request) -> Response:
        """Restore a picture, as `toolbox restore` does.

        The answer is the result. With the header `Prefer: respond-async` it is a job at once, which you may follow.
        """
        later = ASYNC in request.headers.get("prefer", "").lower()
        job = await _submitted(request, jobs, "restore", views=later)
        if later:
            headers = {"Location": f"/api/jobs/{job.id}", "Preference-Applied": ASYNC}
            return JSONResponse(job.record(), 202, headers)
        try:
            await _waited(job, request)
        except BaseException:
            await jobs.discard(job)
            raise
        path, media_type = file_of(job, "result")
        return SentOnce(path, functools.partial(jobs.discard, job), filename=path.name, media_type=media_type)


def _add_jobs(app: FastAPI, jobs: Jobs) -> None:
    @app.get("/api/jobs/{job_id}", responses=UNKNOWN)
    async def state(job_id: str) -> JobRecord:
        """The state of a job now."""
        return JobRecord(**jobs.find(job_id).record())

    @app.delete("/api/jobs/{job_id}", status_code=204, responses=UNKNOWN)
    async def stop(job_id: str) -> None:
        """Stop a job, and remove its files."""
        await jobs.discard(jobs.find(job_id))

    @app.get(
        "/api/jobs/{job_id}/events",
        response_class=StreamingResponse,
        responses={
            **UNKNOWN,
            200: {"content": {"text/event-stream": {}}, "description": "The job after every change, until it ends."},
        },
    )
    async def follow(job_id: str) -> StreamingResponse:
        """The progress of a job as server-sent events; the data of each is the job."""
        return StreamingResponse(events(jobs.find(job_id)), media_type="text/event-stream")

    @app.get("/api/jobs/{job_id}/result", response_class=FileResponse, responses={**UNKNOWN, **PICTURE})
    async def result(job_id: str) -> FileResponse:
        """The result of a job that is done."""
        path, media_type = file_of(_done(jobs.find(job_id)), "result")
        return FileResponse(path, filename=path.name, media_type=media_type)

    @app.get("/api/jobs/{job_id}/before", response_class=FileResponse, responses={**UNKNOWN, **PICTURE})
    async def before(job_id: str) -> FileResponse:
        """The picture, or its first page as PNG if browsers do not show its format."""
        path, media_type = file_of(_done(jobs.find(job_id)), "before")
        return FileResponse(path, media_type=media_type)

    @app.get("/api/jobs/{job_id}/after", response_class=FileResponse, responses={**UNKNOWN, **PICTURE})
    async def after(job_id: str) -> FileResponse:
        """The result, or its first page as PNG if browsers do not show its format."""
        path, media_type = file_of(_done(jobs.find(job_id)), "after")
        return FileResponse(path, media_type=media_type)

    @app.get(
        "/api/archive",
        response_class=FileResponse,
        responses={**UNKNOWN, 200: {"content": {"application/zip": {}}, "description": "The archive."}},
    )
    async def archive(job: Annotated[list[str], Query(max_length=256)]) -> Response:
        """The results of several jobs that are done, as a ZIP file."""
        chosen = [_done(jobs.find(each)) for each in dict.fromkeys(job)]
        path = await asyncio.to_thread(write_archive, chosen, jobs.folder)

        async def remove() -> None:
            path.unlink(missing_ok=True)

        return SentOnce(path, remove, filename="restored.zip", media_type="application/zip")


async def _submitted(request: Request, jobs: Jobs, kind: str, *, views: bool = False) -> Job:
    """The job of a form, which waits for its turn."""
    with jobs.uploading():
        models = [record["name"] for record in await jobs.ready()]
        async with received(request, jobs.limits) as form:
            options = options_of(form.fields, models).model_dump(mode="json") if kind == "restore" else {}
            job = jobs.new(kind=kind, name=form.name, options=options, views=views)
            try:
                await form.save(job)
                jobs.submit(job)
            except BaseException:
                job.remove_files()
                raise
            return job


async def _waited(job: Job, request: Request) -> None:
    """Return once a job is done.

    Raises:
        Refused: it failed or was stopped, or its client went away.
    """
    done, gone = asyncio.create_task(job.wait()), asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait((done, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        done.cancel()
        gone.cancel()
    if not job.has_ended:
        raise Refused(400, "the client went away")
    if job.error is not None:
        raise Refused(job.status, job.error)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@asynccontextmanager
async def _discarded(job: Job, jobs: Jobs) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await jobs.discard(job)


def _done(job: Job) -> Job:
    """The job, if it has a result.

    Raises:
        Refused: it has not ended, or it failed.
    """
    if job.state != "done" or job.kind != "restore":
        raise Refused(409, job.error or f"the job is {job.state}; its result comes when it is done")
    return job


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101  # as registered
    return JSONResponse({"error": str(error)}, error.status, error.headers)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


async def _wrong_query(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    first = error.errors()[0]
    return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg']}"}, 422)
