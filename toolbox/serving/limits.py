"""What the server accepts: sizes, times and numbers, each with its bound."""

from __future__ import annotations

from dataclasses import dataclass

MB = 2**20


@dataclass(frozen=True)
class Limits:
    """The bounds of a server; nothing that a client sends goes beyond them."""

    upload: int = 64 * MB  # bytes of one request's body
    upload_seconds: float = 60.0  # from the first byte of a body to the last
    pixels: int = 64_000_000  # of all pages of a picture, and of its result
    job_seconds: float = 600.0  # a job's time in the worker
    memory_share: float = 0.8  # of the machine's memory, for the worker
    waiting: int = 16  # uploads, and jobs that wait, together
    kept: int = 64  # finished jobs
    kept_bytes: int = 2048 * MB  # pictures and results of finished jobs
    kept_seconds: float = 900.0  # after a job's end
    connections: int = 768  # open at the same time, of a process that may usually open 1024 files
