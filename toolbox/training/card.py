"""The end of a run: one weights file that says how it was trained, and a model card with a picture."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from toolbox.errors import TrainingError
from toolbox.files import written_beside
from toolbox.images.files.picture import write_picture
from toolbox.training.loop import Trained
from toolbox.training.validation import sample_picture
from toolbox.weights.file import save

PACKAGES = ("toolbox-restoration", "torch", "timm", "accelerate", "numpy")


def finish(trained: Trained, name: str) -> list[Path]:
    """Write ``NAME.safetensors``, ``NAME.png`` and ``NAME.md`` into the run's folder, and remove the decoded pictures.

    Raises:
        WeightsError, ImageError, TrainingError: a file cannot be written.
    """
    run, restorer = trained.run, trained.restorer
    weights, picture, card = (run.folder / f"{name}{suffix}" for suffix in (".safetensors", ".png", ".md"))
    restorer.training_record = training_record(trained)
    save(restorer, weights)
    write_picture(sample_picture(run.recipe, restorer, run.sample), picture)
    try:
        with written_beside(card) as partial:
            partial.write_text(model_card(trained, name), encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{card}: cannot be written: {error.strerror}") from None
    run.pictures.remove()
    return [weights, card, picture]


def training_record(trained: Trained) -> dict[str, Any]:
    """How a network was trained, for the header of its weights file. Of paths it has the names alone."""
    run = trained.run
    recipe, progress = run.recipe, run.state.progress
    written = recipe.model_dump(mode="json", exclude={"model", "trackers"}, exclude_none=True)
    written["data"] = [folder.resolve().name for folder in recipe.data]
    if recipe.weights is not None:
        written["weights"] = Path(recipe.weights).name
    if recipe.validation is not None:
        written["validation"]["folder"] = recipe.validation.folder.resolve().name
    record = {
        "pictures": f"{len(run.pictures)} of {', '.join(written['data'])}",
        "digest": run.pictures.digest,
        "steps": progress.step,
        "minutes": round(progress.seconds / 60, 1),
        "processes": run.accelerator.num_processes,
        "recipe": written,
        "versions": {package: metadata.version(package) for package in PACKAGES},
    }
    if recipe.validation is not None and progress.validation is not None:
        record["protocol"] = recipe.validation.protocol.name
        record["psnr"] = {written["validation"]["folder"]: round(progress.validation, 2)}
    return dict(json.loads(json.dumps(record)))


def model_card(trained: Trained, name: str) -> str:
    """The record for people, in Markdown."""
    restorer, record = trained.restorer, trained.restorer.training_record
    parameters = sum(parameter.numel() for parameter in restorer.parameters())
    use = "toolbox restore photo.png -o out.png -m " + f"{name}.safetensors"
    if restorer.sizes != "same":
        use += " --scale 2"
    scores = [f"| {folder} | {record['protocol']} | {value:.2f} |" for folder, value in record.get("psnr", {}).items()]
    table = ["## Score", "", "| pictures | protocol | PSNR in dB |", "|---|---|---|", *scores, ""] if scores else []
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
