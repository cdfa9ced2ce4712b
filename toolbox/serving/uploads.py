"""Receive a form with one picture, within bounds of size and time, and without trust in its names."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from toolbox.serving.job import PICTURE, Job
from toolbox.serving.limits import MB, Limits
from toolbox.serving.refusal import Refused

MOST_FIELDS, MOST_TEXT = 24, 4096  # fields besides the picture, and bytes of each
LONGEST = 60  # letters of a file's name, of up to 4 bytes each


@dataclass(frozen=True)
class Form:
    """A whole form."""

    picture: UploadFile
    fields: list[tuple[str, str]]

    @property
    def name(self) -> str:
        """The name of the picture, which is safe as the name of a file."""
        return safe_name(self.picture.filename or "")

    async def save(self, job: Job) -> None:
        """Copy the picture into the job's folder."""
        folder = job.folder / PICTURE
        folder.mkdir()
        await asyncio.to_thread(self._copy, folder / job.name)

    def _copy(self, path: Path) -> None:
        with path.open("xb") as file:
            shutil.copyfileobj(self.picture.file, file, MB)


@asynccontextmanager
async def received(request: Request, limits: Limits) -> AsyncIterator[Form]:
    """Read the form of a request.

    Raises:
        Refused: it is no form with one picture, too large or too slow, or its client went away.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Refused(415, "expected a form of type multipart/form-data with the picture in its field 'picture'")
    if int(request.headers.get("content-length") or 0) > limits.upload:  # which the server has parsed before
        raise _too_large(limits)
    bounded = Request(request.scope, _bounded(request.receive, limits))
    try:
        async with asyncio.timeout(limits.upload_seconds):
            form = await bounded.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=MOST_TEXT)
    except TimeoutError:
        raise Refused(408, f"the upload took longer than {limits.upload_seconds:g} s") from None
    except HTTPException as error:
        raise Refused(400, f"the form is damaged: {error.detail}") from None
    except ClientDisconnect:
        raise Refused(400, "the client went away") from None
    try:
        picture = form.get("picture")
        if not isinstance(picture, UploadFile):
            raise Refused(400, "expected a whole form with the picture as a file in its field 'picture'")
        fields = [(name, text) for name, text in form.multi_items() if name != "picture" and isinstance(text, str)]
        yield Form(picture, fields)
    finally:
        await form.close()


def safe_name(name: str) -> str:
    """The last part of a path with letters, digits and a few signs, not hidden, and short."""
    last = re.split(r"[/\\]", name)[-1]
    letters = "".join(letter if letter.isalnum() or letter in " ._-()+" else "_" for letter in last).lstrip(". ")
    stem, dot, suffix = letters.rpartition(".")
    if not dot:
        return letters[:LONGEST] or "picture"
    return f"{stem[: LONGEST - 10] or 'picture'}.{suffix[:9]}"


def _bounded(receive: Receive, limits: Limits) -> Receive:
    """``receive`` that refuses a body which turns out to be too large."""
    size = 0

    async def bounded() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limits.upload:
            raise _too_large(limits)
        return message

    return bounded


def _too_large(limits: Limits) -> Refused:
    # Without "Connection: close", so that a client which is still sending hears this.
    return Refused(413, f"the upload is too large, expected at most {limits.upload / MB:.0f} MB")
