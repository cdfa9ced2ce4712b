"""What a command gives back, and what every failure must look like."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

NET: dict[str, Any] = {
    "channels": 3,
    "global_skip": "bicubic",
    "encoder": {"name": "edsr", "channels": 4, "blocks": 1},
    "decoder": {"name": "dual-interactive", "hidden": [4]},
}


@dataclass(frozen=True)
class Result:
    """The exit code of a command and what it printed."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What --json printed."""
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The one sentence of a failure: nothing else was printed, and no traceback."""
        assert self.code in (1, 2), self
        assert self.out == ""
        (line,) = self.err.strip().splitlines()
        assert line.startswith("error: ")
        return line.removeprefix("error: ")

    @property
    def usage(self) -> str:
        """The reason of a wrong usage, which comes after how to use it."""
        assert self.code == 2, self
        assert self.out == ""
        first, *_, last = self.err.strip().splitlines()
        assert first.startswith("Usage: ")
        assert last.startswith("Error: ")
        assert "Traceback" not in self.err
        return last.removeprefix("Error: ")


class Run(Protocol):
    """``toolbox ARGUMENTS``."""

    def __call__(self, *arguments: str | Path) -> Result: ...
