"""Listen, serve until a signal comes, and leave nothing behind."""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import uvicorn

from toolbox.errors import ToolboxError
from toolbox.serving.api import create_app
from toolbox.serving.folder import private_folder
from toolbox.serving.gate import LOOPBACK, Rules
from toolbox.serving.jobs import Jobs
from toolbox.serving.limits import Limits
from toolbox.serving.supervisor import Supervisor

HOST = "127.0.0.1"
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # to be recognized
GRACE = 5  # seconds for answers on their way when the server stops


@dataclass(frozen=True)
class ServerSettings:
    """Where to listen, what to accept, and how to restore."""

    host: str | None = None  # None: this machine alone, and no token
    port: int = 8765  # 0: any that is free
    limits: Limits = field(default_factory=Limits)
    worker: dict[str, Any] = field(default_factory=dict)  # see worker.py
    version: str = ""


def serve(settings: ServerSettings, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. Every job then ends with a word to its client.

    Args:
        settings: of the server.
        announce: called with the address, and the token in it, once clients may come.

    Raises:
        ToolboxError: nothing can listen there.
    """
    token = None if settings.host is None else secrets.token_urlsafe(24)
    with _listening(settings.host or HOST, settings.port) as listener, private_folder() as folder:
        command = (sys.executable, "-m", "toolbox.serving.worker", json.dumps(settings.worker))
        jobs = Jobs(Supervisor(command, settings.limits, folder), settings.limits, folder)
        app = create_app(jobs, _rules(settings.host, token), settings.version)
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,  # whose lines hold the ids of jobs
            server_header=False,
            proxy_headers=False,
            limit_concurrency=settings.limits.connections,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=GRACE,
            h11_max_incomplete_event_size=16_384,
        )
        signal.signal(signal.SIGTERM, _leave)  # uvicorn sends itself the signal again when it is done
        announce(_address(listener, settings.host, token))
        with contextlib.suppress(KeyboardInterrupt):
            _Server(config, jobs).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Tells every client that waits before it closes the connections."""

    def __init__(self, config: uvicorn.Config, jobs: Jobs) -> None:
        super().__init__(config)
        self._jobs = jobs

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._jobs.stop()
        await super().shutdown(sockets)


def _leave(_: int, __: FrameType | None) -> None:
    sys.exit(0)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ToolboxError(f"cannot listen at {host}, port {port}: {reason}; choose another --port or --host") from None


def _rules(host: str | None, token: str | None) -> Rules:
    if host is None:
        return Rules()
    names = {*LOOPBACK, host.lower(), socket.gethostname().lower()}
    return Rules(names, addresses=host in EVERYWHERE, token=token)


def _address(listener: socket.socket, host: str | None, token: str | None) -> str:
    """The address of the page. The token is behind the #, which browsers do not send."""
    name = socket.gethostname() if host in EVERYWHERE else host or HOST
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{listener.getsockname()[1]}/" + ("" if token is None else f"#{token}")
