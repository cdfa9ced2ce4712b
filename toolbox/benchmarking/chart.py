"""Show measurements: a table, a chart, and the machine."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from toolbox.benchmarking.bench import Row
from toolbox.evaluation.plots import load_figure
from toolbox.files import written_beside


def machine() -> str:
    """The processor, and the threads and version of PyTorch."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {torch.get_num_threads()} threads, PyTorch {torch.__version__.split('+')[0]}"


def table(rows: Sequence[Row]) -> str:
    """A table in Markdown, with the ratios first."""
    lines = [
        "| name | than plain | of the peak | per output pixel | spread | input | output | differs by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        faster = "" if row.times_faster is None else f"{row.times_faster:.1f}x faster"
        difference = "" if row.difference is None else f"{row.difference:.0e}"
        lines.append(
            f"| {row.name} | {faster} | {row.share_of_peak:.0%} | {row.microseconds_per_pixel:.2f} µs "
            f"| ±{row.spread:.0%} | {row.input} | {row.output} | {difference} |"
        )
    return "\n".join([*lines, "", machine()])


def draw(values: Mapping[str, float], label: str, path: Path) -> None:
    """Draw a bar for each value.

    Raises:
        ToolboxError: matplotlib is not installed.
    """
    figure = load_figure()(figsize=(8, 1 + 0.4 * len(values)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(list(values)[::-1], list(values.values())[::-1])
    axes.bar_label(bars, fmt="%.2g", padding=3)
    axes.set_xlabel(label)
    with written_beside(path) as partial:
        figure.savefig(partial, format=path.suffix.lstrip(".") or "png", dpi=150)
