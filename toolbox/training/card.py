"""The end of a run: a weights file with its training record, and a model card with a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from toolbox.discovery import installed
from toolbox.errors import TrainingError
from toolbox.files import written_beside
from toolbox.images.files.picture import write_picture
from toolbox.restorer import Restorer
from toolbox.training.loop import BEST, Trained
from toolbox.training.record import training_record
from toolbox.training.validation import leading_metric, sample_picture
from toolbox.weights.file import save


def finish(trained: Trained, name: str) -> list[Path]:
    """Write ``NAME.safetensors``, ``NAME.png`` and ``NAME.md`` into the run's folder, and remove the decoded pictures.

    Raises:
        WeightsError, ImageError, TrainingError: a file cannot be written.
    """
    run, restorer = trained.run, trained.restorer
    weights, picture, card = (run.folder / f"{name}{suffix}" for suffix in (".safetensors", ".png", ".md"))
    restorer.training_record = training_record(run)
    save(restorer, weights)
    write_picture(sample_picture(run.recipe, restorer, run.sample), picture)
    text = model_card(restorer, name, weights.name, f"degraded, and restored by {name}", picture.name, _best(trained))
    try:
        with written_beside(card) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{card}: cannot be written: {error.strerror}") from None
    run.pictures.remove()
    return [weights, card, picture]


def model_card(
    restorer: Restorer,
    name: str,
    model: str,
    caption: str = "",
    picture: str | None = None,
    best: str | None = None,
) -> str:
    """A network and its training record as a page in Markdown.

    Args:
        restorer: the network.
        name: the title.
        model: what a command names it by.
        caption: the words for the picture.
        picture: the file of a picture beside the page.
        best: a sentence about the best score of the run.
    """
    record = restorer.training_record
    parameters = sum(parameter.numel() for parameter in restorer.parameters())
    use = f"toolbox restore photo.png -o out.png -m {model}"
    if restorer.sizes == "any":
        use += " --scale 2"
    for condition in restorer.spec.conditions:
        use += " --sigma NUMBER" if condition == "sigma" else f" --condition {condition}=NUMBER"
    lines = [
        f"# {name}",
        "",
        f"{restorer.spec.summary or 'A network without a summary'}.",
        f"{parameters:,} parameters. {restorer.spec.paper}".rstrip(),
        "",
        *([f"![{caption}]({picture})", ""] if picture else []),
        f"    {use}",
        "",
        *_scores(record, best),
        *_training(record),
    ]
    return "\n".join(lines).rstrip() + "\n"


def scores_of(record: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The scores of a training record: for each metric, those of its folders."""
    return {info.name: record[info.name] for info in installed().metrics if isinstance(record.get(info.name), dict)}


def protocol_of(record: Mapping[str, Any]) -> str:
    """The protocol of the scores, with the scales."""
    scales = ", ".join(f"×{scale:.4g}" for scale in record.get("scales", ()))
    protocol = str(record.get("protocol", ""))
    return f"{protocol}, {scales}" if scales else protocol


def _scores(record: Mapping[str, Any], best: str | None) -> list[str]:
    """The mean scores of the validation, and the sentence about the best one."""
    tables: list[str] = []
    for name, scores in scores_of(record).items():
        metric = installed().metrics[name]
        label = f"{metric.label} in {metric.unit}" if metric.unit else metric.label
        rows = [f"| {folder} | {protocol_of(record)} | {value:.{metric.digits}f} |" for folder, value in scores.items()]
        tables += [f"| pictures | protocol | {label} |", "|---|---|---|", *rows, ""]
    return ["## Score", "", *tables, *([best, ""] if best else [])] if tables else []


def _best(trained: Trained) -> str | None:
    """The file with the best score of the run, unless the last one is the best."""
    validation, progress = trained.run.recipe.validation, trained.run.state.progress
    if validation is None or progress.best is None or progress.best_step >= progress.step:
        return None
    metric = leading_metric(validation)
    best = f"{progress.best:.{metric.digits}f} {metric.unit}".rstrip()
    return f"The best score of the run, {best} after {progress.best_step:,} steps, is that of `{BEST}`."


def _training(record: Mapping[str, Any]) -> list[str]:
    """The pictures, the recipe and the versions, or the origin of converted weights."""
    if not {"recipe", "pictures", "steps", "minutes", "versions"} <= record.keys():
        origin = record.get("converted_from")
        return ["## Origin", "", f"Converted from a published checkpoint of the format `{origin}`."] if origin else []
    return [
        "## Training",
        "",
        f"Pictures: {record['pictures']}. {record['steps']:,} steps in {record['minutes']:g} minutes, by this recipe:",
        "",
        "```yaml",
        yaml.safe_dump(record["recipe"], sort_keys=False, default_flow_style=None).rstrip(),
        "```",
        "",
        "Versions: " + ", ".join(f"{package} {version}" for package, version in record["versions"].items()) + ".",
    ]
