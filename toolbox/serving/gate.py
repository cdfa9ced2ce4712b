"""Who may enter: names of this server alone, pages of this server alone, and clients with the token."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
API = "/api/"
# Of every answer. The page states its own Content-Security-Policy.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Rules:
    """The rules of a gate."""

    names: Collection[str] = LOOPBACK  # that the server answers to, without a port
    addresses: bool = False  # whether it also answers to any IP address, which no other site can have as its name
    token: str | None = None  # that clients of the API must know

    def refusal(self, path: str, headers: Headers) -> tuple[int, str] | None:
        """The status and the sentence for a request that may not enter, else None."""
        host = headers.get("host", "")
        if not self._is_own(host):
            return 421, "the request names another host, expected the address that the server printed"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return 403, "the request comes from another site, expected the server's own page"
        if not path.startswith(API):
            return None
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "the request comes from another site, expected the server's own page"
        given = headers.get("authorization", "").encode()
        if self.token is not None and not hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            return 401, "the token is missing or wrong, expected the header 'Authorization: Bearer TOKEN'"
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self.names or (self.addresses and _is_address(name))


class Gate:
    """An ASGI app around another one, which refuses by rules and adds HEADERS to every answer."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app, self.rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] != "http":  # a WebSocket, of which the server has none
            return
        refusal = self.rules.refusal(scope["path"], Headers(scope=scope))
        if refusal is None:
            await self.app(scope, receive, with_headers)
            return
        status, sentence = refusal
        more = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        await JSONResponse({"error": sentence}, status, more)(scope, receive, with_headers)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
