"""An answer of the API that says no: a status of HTTP and one sentence."""

from __future__ import annotations

from collections.abc import Mapping


class Refused(Exception):
    """Ends a request.

    Args:
        status: of HTTP, 400 to 599.
        sentence: what the server got, and what it expected.
        headers: more headers of the answer.
    """

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, dict(headers or {})
