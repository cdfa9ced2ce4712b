"""The scores of one run: a JSON document that a later run can continue, and tables."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from toolbox.errors import SpecError
from toolbox.evaluation.cases import Case
from toolbox.evaluation.metrics import metric
from toolbox.evaluation.scoring import Score
from toolbox.files import written_beside

Table = tuple[list[str], list[list[str]]]  # the header and the rows


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a scored model."""

    name: str
    parameters: int
    sha256: str | None  # of its weights file; None without one
    plugins: dict[str, str]  # the plugins of its parts, with their versions
    source: str | None = None  # hf://user/repo@COMMIT/file, if its weights are from the hub


@dataclass
class Report:
    """Every score of one protocol on one folder, with the conditions of the run."""

    protocol: dict[str, Any]
    data: str
    low: str | None  # the place of low-resolution pictures; None: the protocol made the inputs
    sigma: float | None
    quality: int | None
    metrics: list[str]
    versions: dict[str, str]
    models: list[ModelFacts]
    scores: list[Score] = field(default_factory=list)

    def find(self, model: str, case: Case) -> Score | None:
        """The score of a model on a case, or None if there is none or it failed."""
        found = (s for s in self.scores if (s.model, s.picture) == (model, case.original.name) and not s.error)
        return next((s for s in found if case.scale in (None, s.scale)), None)

    def add(self, score: Score) -> None:
        """Add a score, replacing an older score or failure of the same model, picture and scale."""
        key = (score.model, score.picture)
        self.scores = [s for s in self.scores if (s.model, s.picture) != key or s.scale not in (score.scale, 0)]
        self.scores.append(score)

    def failures(self) -> list[Score]:
        return [score for score in self.scores if score.error]

    def means(self) -> list[dict[str, Any]]:
        """The mean of each metric, without infinite scores, and the cost, for each scale and model."""
        rows = []
        for scale in self._scales():
            for model in self.models:
                scores = [s for s in self.scores if (s.model, s.scale) == (model.name, scale) and not s.error]
                if not scores:
                    continue
                peaks = [s.peak_memory for s in scores if s.peak_memory is not None]
                rows.append(
                    {
                        "model": model.name,
                        "scale": scale,
                        "pictures": len(scores),
                        **{name: _mean([s.values[name] for s in scores]) for name in self.metrics},
                        "seconds_per_megapixel": statistics.median(s.seconds / s.megapixels for s in scores),
                        "peak_memory": max(peaks, default=None),
                    }
                )
        return rows

    def document(self) -> dict[str, Any]:
        """The whole report for JSON; an infinite PSNR is null."""
        document = {each.name: getattr(self, each.name) for each in fields(self)}
        return document | {
            "models": [asdict(model) for model in self.models],
            "means": [{key: _finite(value) for key, value in row.items()} for row in self.means()],
            "scores": [self._row(score) for score in self.scores],
        }

    def csv(self) -> str:
        """One line for each score, in full precision; an infinite PSNR is ``inf``."""
        text = io.StringIO()
        rows = [{"protocol": self.protocol["name"], **self._row(score), **score.values} for score in self.scores]
        rows = [row | {"notes": "; ".join(row["notes"])} for row in rows]
        header = ["protocol", "model", "picture", "scale", *self.metrics]
        writer = csv.DictWriter(text, header + [key for key in rows[0] if key not in header] if rows else header)
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def markdown(self) -> str:
        """The means, with the scores of each picture folded away below."""
        pictures = _markdown(self.picture_table())
        return (
            f"{_markdown(self.summary_table())}\n\n*{self.caption()}*\n\n"
            f"<details><summary>each picture</summary>\n\n{pictures}\n\n</details>"
        )

    def caption(self) -> str:
        """One line with the protocol, the data and the versions."""
        sigma = f", σ = {self.sigma:g}" if self.sigma is not None else ""
        quality = f", quality {self.quality}" if self.quality is not None else ""
        plugins = {name: version for model in self.models for name, version in model.plugins.items()}
        versions = ", ".join(f"{name} {version}" for name, version in (self.versions | plugins).items())
        return f"{self.protocol['name']} on {self.data}{sigma}{quality}; {versions}"

    def summary_table(self) -> Table:
        """One row for each model and scale."""
        models = {model.name: model for model in self.models}
        counts = {scale: max(r["pictures"] for r in self.means() if r["scale"] == scale) for scale in self._scales()}
        rows = []
        for mean in self.means():
            model, count = models[mean["model"]], counts[mean["scale"]]
            few = f" ({mean['pictures']} of {count})" if mean["pictures"] < count else ""
            rows.append(
                [
                    model.name,
                    f"×{mean['scale']:.4g}",
                    *(_written(name, mean[name]) + few for name in self.metrics),
                    f"{model.parameters:,}",
                    f"{mean['seconds_per_megapixel']:.2f}",
                    f"{mean['peak_memory'] / 1e6:.0f}" if mean["peak_memory"] else "",
                    (model.sha256 or "")[:8],
                ]
            )
        labels = [metric(name).label for name in self.metrics]
        header = ["model", "scale", *labels, "parameters", "s/MP", "peak MB", "weights"]
        return self._without_scale(header, rows)

    def picture_table(self) -> Table:
        """One row for each picture and scale, one column for each model and metric; ``—`` for a failure."""
        found = {(s.scale, s.picture, s.model): s.values for s in self.scores if not s.error}
        rows = []
        for scale, picture in sorted({key[:2] for key in found}):
            cells = [
                _written(name, found[key][name]) if (key := (scale, picture, model.name)) in found else "—"
                for model in self.models
                for name in self.metrics
            ]
            rows.append([picture, f"×{scale:.4g}", *cells])
        columns = [f"{model.name} {metric(name).label}" for model in self.models for name in self.metrics]
        return self._without_scale(["picture", "scale", *columns], rows)

    def _without_scale(self, header: list[str], rows: list[list[str]]) -> Table:
        """Leave the scale out when every picture keeps its size."""
        if self._scales() != [1.0]:
            return header, rows
        return [header[0], *header[2:]], [[row[0], *row[2:]] for row in rows]

    def _scales(self) -> list[float]:
        return sorted({score.scale for score in self.scores if not score.error})

    def _row(self, score: Score) -> dict[str, Any]:
        row = asdict(score)
        del row["values"]
        return {**row, "scale": score.scale or None, **{k: _finite(v) for k, v in score.values.items()}}


def read_report(path: Path) -> Report:
    """Read a report from its JSON document.

    Raises:
        SpecError: the file is no such document.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        own = {each.name for each in fields(Score)}
        scores = []
        for row in document["scores"]:
            values = {name: math.inf if row[name] is None else row[name] for name in document["metrics"] if name in row}
            kept = {key: value for key, value in row.items() if key in own}
            kept |= {"scale": row["scale"] or 0.0, "notes": tuple(row["notes"])}
            scores.append(Score(values=values, **kept))
        heads = {each.name: document[each.name] for each in fields(Report)}
        return Report(**heads | {"models": [ModelFacts(**model) for model in document["models"]], "scores": scores})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SpecError(f"{path}: cannot be read as scores ({error}); choose another file for the results") from None


def resume(report: Report, path: Path, cases: Sequence[Case]) -> Report:
    """``report`` with the models of the file, and with their scores of unchanged pictures.

    Raises:
        SpecError: the scores of the file were made in another way and cannot be compared.
    """
    if not path.exists():
        return report
    before = read_report(path)
    for key in ("protocol", "data", "low", "sigma", "quality", "metrics", "versions"):
        got, held = getattr(report, key), getattr(before, key)
        if got != held:
            got, held = (each["name"] if key == "protocol" else each for each in (got, held))
            raise SpecError(
                f"{path} holds scores of {key} {held}, these are of {got}; choose another file for the results"
            )
    models = {model.name: model for model in before.models}
    for model in report.models:
        if models.setdefault(model.name, model) != model:
            raise SpecError(f"{path} holds scores of another {model.name!r}; choose another file for the results")
    now = {(case.original.name, case.sha256()) for case in cases}
    report.models = list(models.values())
    report.scores = [score for score in before.scores if (score.picture, score.sha256) in now]
    return report


def write_report(report: Report, path: Path) -> None:
    """Write the JSON document; an interruption leaves the old one."""
    with written_beside(path) as partial:
        partial.write_text(json.dumps(report.document(), indent=2) + "\n", encoding="utf-8")


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.inf


def _finite(value: Any) -> Any:
    return None if value == math.inf else value


def _written(name: str, value: float) -> str:
    return f"{value:.{metric(name).digits}f}"


def _markdown(table: Table) -> str:
    header, rows = table
    rule = ["---", *["--:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))
