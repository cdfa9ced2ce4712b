"""A record that breaks a rule, and the message that must tell it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from toolbox.errors import ConformanceError


@dataclass(frozen=True)
class Broken:
    """A record, the rule that it breaks, and how the message goes on."""

    what: str
    rule: str
    info: Any
    message: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.rule}-{self.what.replace(' ', '-')}"

    def is_told_by(self, check: Callable[[], None], kind: str = r"\w[\w ]+") -> None:
        """Assert that the check fails with a line about this rule; ``kind`` is a pattern for the kind of the record."""
        with pytest.raises(ConformanceError) as caught:
            check()
        start = rf"{kind} '{self.info.name}' breaks the rule {self.rule}: {self.message}"
        assert any(re.match(start, line) for line in str(caught.value).splitlines()), str(caught.value)
