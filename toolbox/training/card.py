"""The end of a run: a weights file with its training record, and a model card with a picture."""

from __future__ import annotations

from pathlib import Path

import yaml

from toolbox.errors import TrainingError
from toolbox.files import written_beside
from toolbox.images.files.picture import write_picture
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
    try:
        with written_beside(card) as partial:
            partial.write_text(model_card(trained, name), encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{card}: cannot be written: {error.strerror}") from None
    run.pictures.remove()
    return [weights, card, picture]


def model_card(trained: Trained, name: str) -> str:
    """The training record as a page in Markdown."""
    restorer, record = trained.restorer, trained.restorer.training_record
    parameters = sum(parameter.numel() for parameter in restorer.parameters())
    use = "toolbox restore photo.png -o out.png -m " + f"{name}.safetensors"
    if restorer.sizes != "same":
        use += " --scale 2"
    for condition in restorer.spec.conditions:
        use += " --sigma NUMBER" if condition == "sigma" else f" --condition {condition}=NUMBER"
    table = _scores(trained)
    lines = [
        f"# {name}",
        "",
        f"{restorer.spec.summary or 'A network without a summary'}.",
        f"{parameters:,} parameters. {restorer.spec.paper}".rstrip(),
        "",
        f"![degraded, and restored by {name}]({name}.png)",
        "",
        f"    {use}",
        "",
        *table,
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
    return "\n".join(lines) + "\n"


def _scores(trained: Trained) -> list[str]:
    """The mean score of the validation with its protocol and scales, and the file of the best one."""
    record, run = trained.restorer.training_record, trained.run
    validation, progress = run.recipe.validation, run.state.progress
    if validation is None or progress.validation is None:
        return []
    metric = leading_metric(validation)
    scales = ", ".join(f"×{scale:.4g}" for scale in record.get("scales", ()))
    protocol = f"{record['protocol']}, {scales}" if scales else record["protocol"]
    label = f"{metric.label} in {metric.unit}" if metric.unit else metric.label
    rows = [f"| {folder} | {protocol} | {value:.{metric.digits}f} |" for folder, value in record[metric.name].items()]
    table = ["## Score", "", f"| pictures | protocol | {label} |", "|---|---|---|", *rows, ""]
    if progress.best is not None and progress.best_step < progress.step:
        best = f"{progress.best:.{metric.digits}f} {metric.unit}".rstrip()
        table += [f"The best score of the run, {best} after {progress.best_step:,} steps, is that of `{BEST}`.", ""]
    return table
