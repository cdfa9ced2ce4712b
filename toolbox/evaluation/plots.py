"""Plot scores against parameters, time and scale."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbox.errors import ToolboxError
from toolbox.evaluation.metrics import metric
from toolbox.evaluation.report import Report
from toolbox.files import written_beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCALES = tuple(half / 2 for half in range(3, 17))  # ×1.5 to ×8
BASELINE = "bicubic"


def load_figure() -> type[Figure]:
    """Matplotlib's figure class.

    Raises:
        ToolboxError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ToolboxError(
            "plots need matplotlib, which is not installed; pip install 'toolbox-restoration[plot]'"
        ) from None
    return Figure


def plot(report: Report, path: Path) -> None:
    """Draw the means of the leading metric against parameters, time and, if there are several, scales.

    The first two panels show one scale: the smallest integer scale that all models have scores at, or
    else the smallest. The baseline is a dashed line.
    """
    leading, means = report.metrics[0], report.means()
    scale = _common_scale(means, len(report.models))
    several = len({mean["scale"] for mean in means}) > 1
    parameters = {model.name: model.parameters for model in report.models}
    figure = load_figure()(figsize=(16 if several else 11, 4.5), layout="constrained")
    figure.suptitle(report.caption(), fontsize="small")
    panels = figure.subplots(1, 3 if several else 2, squeeze=False)[0]
    for panel, label in zip(panels, ("parameters", "seconds per megapixel"), strict=False):
        for mean in (each for each in means if each["scale"] == scale):
            name, value = mean["model"], mean[leading]
            cost = parameters[name] if label == "parameters" else mean["seconds_per_megapixel"]
            if name == BASELINE:
                panel.axhline(value, color="gray", linestyle="--", label=name)
            elif cost > 0:
                panel.scatter(cost, value, label=name)
            else:  # a logarithmic axis has no place for zero
                panel.axhline(value, linestyle=":", label=name)
        panel.set(xlabel=label, xscale="log", ylabel=_label(leading), title="" if scale == 1 else f"×{scale:.4g}")
        panel.legend(fontsize="small")
    if several:
        for name in parameters:
            points = [(mean["scale"], mean[leading]) for mean in means if mean["model"] == name]
            style = {"color": "gray", "linestyle": "--"} if name == BASELINE else {"marker": "."}
            panels[2].plot(*zip(*points, strict=True), label=name, **style)
        panels[2].set(xlabel="scale", ylabel=_label(leading))
        panels[2].legend(fontsize="small")
    with written_beside(path) as partial:
        figure.savefig(partial, format=path.suffix.removeprefix("."), dpi=120)


def _common_scale(means: list[dict[str, Any]], models: int) -> float:
    scales = sorted({mean["scale"] for mean in means})
    common = [scale for scale in scales if sum(mean["scale"] == scale for mean in means) == models]
    return next((scale for scale in common if scale == round(scale)), (common or scales)[0])


def _label(name: str) -> str:
    info = metric(name)
    return f"{info.label} ({info.unit})" if info.unit else info.label
