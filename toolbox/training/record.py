"""The training record for the header of a weights file. Of paths it keeps only the names."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

from toolbox.training.run import Run
from toolbox.training.validation import leading_metric

PACKAGES = ("toolbox-restoration", "torch", "timm", "accelerate", "numpy")


def training_record(run: Run) -> dict[str, Any]:
    """The record of a run so far, as JSON data."""
    recipe, progress = run.recipe, run.state.progress
    record = {
        "pictures": f"{len(run.pictures)} of {', '.join(_places(recipe.data))}",
        "digest": run.digest,
        "steps": progress.step,
        "minutes": round(progress.seconds / 60, 1),
        "processes": run.accelerator.num_processes,
        "recipe": recipe.plain(names_alone=True, exclude={"model"}, exclude_none=True),
        "versions": {package: metadata.version(package) for package in PACKAGES},
    }
    record |= {name: text for name, text in (("author", recipe.author), ("license", recipe.license)) if text}
    if recipe.validation is not None and progress.validation is not None:
        record["protocol"] = recipe.validation.protocol.name
        if any(scale != 1 for scale in progress.scales):
            record["scales"] = list(progress.scales)
        metric, folder = leading_metric(recipe.validation), recipe.validation.folder.resolve().name
        record[metric.name] = {folder: round(progress.validation, metric.digits)}
    return dict(json.loads(json.dumps(record)))


def _places(data: Any) -> list[str]:
    """The names of datasets: of their folders or files, or else their own."""
    found = []
    for choice in data:
        paths = [value.resolve().name for _, value in choice.config if isinstance(value, Path)]
        found += paths[:1] or [choice.info.name]
    return found
