"""Plot the quality of every network that ships with weights over its time, beside published networks.

    python benchmarks/front.py --set5 SET5 --set12 SET12

The script scores and times the networks on this machine, and writes the tables of docs/reference/front.md and the plot
beside them. Run it on a machine that does nothing else. The published points are those of published.yaml. Their times
are scaled by the ratio of the two machines' peaks, which says how fast a product of large matrices runs.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import toolbox
from toolbox.benchmarking.chart import machine
from toolbox.benchmarking.timing import interleaved, peak_work
from toolbox.catalog import read_yaml
from toolbox.evaluation.plots import load_figure
from toolbox.files import written_beside

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "reference" / "front.md"
TABLES = re.compile(r"(?<=<!-- tables of benchmarks/front.py -->\n\n).*?(?=\n\n<!-- end of tables -->)", re.DOTALL)
BASELINE = "bicubic"
SIDE = 512  # of the result that is timed, in pixels
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Panel:
    """One task: its panel of the plot, and its table."""

    title: str  # as in published.yaml
    data: str  # option with the folder of the pictures
    channels: int
    sizes: str  # of the networks that belong here
    protocol: str
    scale: int = 1
    sigma: float | None = None


PANELS = (
    Panel("×2", "set5", 3, "any", "sr-y", scale=2),
    Panel("×4", "set5", 3, "any", "sr-y", scale=4),
    Panel("σ = 25", "set12", 1, "same", "denoise-gray", sigma=25),
)


@dataclass(frozen=True)
class Point:
    """A network in a panel."""

    name: str
    psnr: float  # dB
    time: float  # µs per output pixel
    source: str = ""  # of a published one


def shipped(panel: Panel) -> dict[str, toolbox.Restorer]:
    """The networks that ship with weights for the task, and the baseline."""
    names = [BASELINE, *(each.name for each in toolbox.list_architectures() if each.weights)]
    networks = {name: toolbox.load(name).eval() for name in names}
    return {
        name: network
        for name, network in networks.items()
        if name == BASELINE or (str(network.sizes), network.channels) == (panel.sizes, panel.channels)
    }


@torch.inference_mode()
def own_points(panel: Panel, data: Path, repeats: int) -> list[Point]:
    """Score and time the shipped networks of a panel."""
    networks = shipped(panel)
    scales = [panel.scale] if panel.scale > 1 else []
    report = toolbox.evaluate(list(networks), data, panel.protocol, sigma=panel.sigma, scales=scales)
    if failures := report.failures():
        raise SystemExit(f"{len(failures)} pictures of {data} could not be scored: {failures[0]}")
    psnr = {name: statistics.mean(score.psnr for score in report.scores if score.model == name) for name in networks}
    low = SIDE // panel.scale

    def work(network: toolbox.Restorer) -> Callable[[], Tensor]:
        image = torch.rand(1, network.channels, low, low)
        return partial(network, image, scale=panel.scale) if network.sizes == "any" else partial(network, image)

    times = interleaved({name: work(network) for name, network in networks.items()}, repeats, CPU)
    return [Point(name, psnr[name], 1e6 * times[name].median / SIDE**2) for name in networks]


def published_points(published: Mapping[str, Any], title: str, peak: float) -> list[Point]:
    """The published networks of a panel, with times as on a machine of this peak."""
    faster = peak / published["peak"]
    return [
        Point(each["name"], each["psnr"], each["time"] / faster, each["source"]) for each in published["points"][title]
    ]


def table(title: str, points: Sequence[Point]) -> str:
    """The table of a panel, the fastest network first."""
    lines = [f"| {title} | PSNR | µs per output pixel |", "|---|--:|--:|"]
    for point in sorted(points, key=lambda point: point.time):
        name = f"[{point.name}]({point.source})" if point.source else f"**{point.name}**"
        lines.append(f"| {name} | {point.psnr:.2f} | {point.time:.2g} |")
    return "\n".join(lines)


def draw(panels: Mapping[str, Sequence[Point]], path: Path) -> None:
    """Draw a panel for each task: full points are shipped networks, hollow ones published. The baseline is left out."""
    figure = load_figure()(figsize=(5.5 * len(panels), 5), layout="constrained")
    for axes, (title, points) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        networks = sorted((point for point in points if point.name != BASELINE), key=lambda point: point.psnr)
        for number, point in enumerate(networks):
            color, face = ("C1", "none") if point.source else ("C0", None)
            axes.scatter(point.time, point.psnr, color=color, facecolors=face)
            offset = (6, -3) if number % 2 else (-6, -3)  # on both sides, so that fewer names lie over one another
            axes.annotate(
                point.name,
                (point.time, point.psnr),
                xytext=offset,
                textcoords="offset points",
                fontsize="small",
                horizontalalignment="left" if number % 2 else "right",
            )
        axes.margins(x=0.3)
        axes.set(title=title, xscale="log", xlabel="µs per output pixel", ylabel="PSNR (dB)")
    with written_beside(path) as partial_file:
        figure.savefig(partial_file, format="png", dpi=110)


def main() -> None:
    """Score, time, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set5", type=Path, required=True, help="folder of the pictures of Set5")
    parser.add_argument("--set12", type=Path, required=True, help="folder of the pictures of Set12")
    parser.add_argument("--repeats", type=int, default=7, help="(default: %(default)s)")
    parser.add_argument("--page", type=Path, default=PAGE, help="page to rewrite (default: docs/reference/front.md)")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    work, multiply_adds = peak_work(CPU)
    peak = multiply_adds / interleaved({"peak": work}, arguments.repeats, CPU)["peak"].median
    published = read_yaml(HERE / "published.yaml")
    panels = {
        panel.title: [
            *own_points(panel, getattr(arguments, panel.data), arguments.repeats),
            *published_points(published, panel.title, peak),
        ]
        for panel in PANELS
    }
    plot = arguments.page.with_suffix(".png")
    draw(panels, plot)
    tables = [table(title, points) for title, points in panels.items()]
    tables.append(f"*{machine()}; a product of matrices reaches {peak / 1e9:.0f} G multiply-adds a second.*")
    tables.append(f"![PSNR over the time per output pixel, for each task]({plot.name})")
    text = arguments.page.read_text(encoding="utf-8")
    arguments.page.write_text(TABLES.sub(lambda _: "\n\n".join(tables), text), encoding="utf-8")


if __name__ == "__main__":
    main()
