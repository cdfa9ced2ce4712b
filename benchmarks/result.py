"""A line of the table of speeds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One line of the tables."""

    work: str
    against: str
    ratio: float  # larger is better, unless the unit says otherwise
    unit: str
    detail: str


def row(result: Result) -> str:
    """One line of the table."""
    ratio = f"{result.ratio:.0%}" if result.unit.startswith("of the") else f"{result.ratio:.3g}"
    times = "×" if result.unit == "faster" else ""
    return f"| {result.work} | {result.against} | **{ratio}{times} {result.unit}** | {result.detail} |"
