"""Many reports of ``toolbox restore --json`` as one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolbox.errors import SpecError

STATUSES = ("failed", "planned", "skipped", "restored")  # a later one counts more, since a file may be tried again


@dataclass
class Summary:
    """The best outcome of each file, by the name of its input."""

    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, records: Iterable[dict[str, Any]]) -> None:
        """Count the records of a report."""
        for record in records:
            best = self.files.setdefault(record["input"], record)
            if STATUSES.index(record["status"]) > STATUSES.index(best["status"]):
                self.files[record["input"]] = record

    def count(self, status: str) -> int:
        """How many files ended so."""
        return sum(record["status"] == status for record in self.files.values())

    @property
    def megapixels(self) -> float:
        """Of all results, with all of their pages."""
        sizes = (record["output_size"] + [record["pages"]] for record in self._restored())
        return sum(width * height * pages for width, height, pages in sizes) / 1e6

    @property
    def seconds(self) -> float:
        """Of all files together, whether they were restored at the same time or not."""
        return float(sum(record["seconds"] for record in self._restored()))

    @property
    def models(self) -> dict[str, int]:
        """How many files each model restored, the most first."""
        return dict(Counter(str(record["model"]) for record in self._restored()).most_common())

    def failures(self) -> list[dict[str, Any]]:
        """The records of the files that failed, in order."""
        return [record for record in self.files.values() if record["status"] == "failed"]

    def _restored(self) -> list[dict[str, Any]]:
        return [record for record in self.files.values() if record["status"] == "restored"]


def read_report(path: Path) -> list[dict[str, Any]]:
    """The records of a report: of one file, of a run over many, or of a watch, line by line.

    Raises:
        SpecError: it is missing, or is no such report.
    """
    try:
        reports = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        records: list[dict[str, Any]] = [record for report in reports for record in report.get("files", [report])]
        complete = all(record["status"] in STATUSES and isinstance(record["input"], str) for record in records)
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        reports = []
    if not reports or not complete:
        raise SpecError(f"{path}: expected a report of `toolbox restore --json`; the run may have been interrupted")
    return records
