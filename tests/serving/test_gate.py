"""Who may enter: by Host, Origin and token, and the headers of every answer."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from toolbox.serving.gate import LOOPBACK, Gate, Rules

LOCAL = Rules()
OPEN = Rules({*LOOPBACK, "studio"}, addresses=True, token="secret")  # noqa: S106  # of a test


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that lets everybody in."""
    await PlainTextResponse("inside")(scope, receive, send)


def asked(rules: Rules, path: str = "/api/health", **headers: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(Gate(inside, rules))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765") as client:
            return await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return asyncio.run(ask())


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost", "LOCALHOST:1", "[::1]:8765"])
def test_the_names_of_this_machine_enter(host: str) -> None:
    assert asked(LOCAL, host=host).text == "inside"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8765",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.168.1.7",
        "",
        "[::1",
        "127.0.0.1@evil",
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/health"])
def test_any_other_name_is_refused_so_that_dns_cannot_be_rebound(host: str, path: str) -> None:
    answer = asked(LOCAL, path, host=host)
    assert answer.status_code == 421
    assert "names another host" in answer.json()["error"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:9999", "null", "file://", "http://localhost:8765"]
)
def test_pages_of_other_origins_are_refused(origin: str) -> None:
    assert asked(LOCAL, host="127.0.0.1:8765", origin=origin).status_code == 403


def test_the_page_of_the_server_enters() -> None:
    assert asked(LOCAL, host="127.0.0.1:8765", origin="http://127.0.0.1:8765").text == "inside"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_requests_without_an_origin_that_another_page_makes_are_refused(site: str) -> None:
    assert asked(LOCAL, sec_fetch_site=site).status_code == 403
    assert asked(LOCAL, "/", sec_fetch_site=site).text == "inside"  # a link to the page


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_requests_of_its_own_page_enter(site: str) -> None:
    assert asked(LOCAL, sec_fetch_site=site).text == "inside"


def test_with_a_token_every_call_of_the_api_needs_it() -> None:
    assert asked(OPEN, authorization="Bearer secret").text == "inside"
    for wrong in ("Bearer Secret", "Bearer ", "secret", "Basic secret", "Bearer secret2", ""):
        answer = asked(OPEN, authorization=wrong)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert asked(OPEN).status_code == 401
    assert asked(OPEN, "/").text == "inside"  # the page asks for it


def test_a_server_for_others_answers_to_its_name_and_to_addresses() -> None:
    for host in ("studio:8765", "192.168.1.7", "[fe80::1]:8765", "localhost"):
        assert asked(OPEN, "/", host=host).text == "inside"
    assert asked(OPEN, "/", host="evil.example").status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "evil.example"])
def test_every_answer_has_the_headers_of_safety(host: str) -> None:
    headers = asked(LOCAL, host=host).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert not [name for name in headers if name.startswith("access-control-")]
