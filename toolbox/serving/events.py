"""The progress of a job as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from toolbox.serving.job import Job

BEAT = 15.0  # seconds after which silence is broken, so that nobody takes the connection for dead


async def events(job: Job) -> AsyncIterator[str]:
    """The state of a job now and after every change, until it ends. A client that comes back misses nothing."""
    while True:
        changed = job.changed
        yield f"data: {json.dumps(job.record())}\n\n"
        if job.has_ended:
            return
        try:
            async with asyncio.timeout(BEAT):
                await changed.wait()
        except TimeoutError:
            yield ": still at work\n\n"
