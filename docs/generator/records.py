"""The pages of the other records: protocols, losses, metrics, datasets, degradations and checkpoint formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator.installed import other_registries, records
from generator.markdown import facts, linked, page, table
from generator.settings import settings
from toolbox.evaluation.metrics import describe as describe_metric
from toolbox.evaluation.protocols import describe

FOLDER = "reference"
INTRODUCTION = {
    "protocols": "A protocol defines in full how `toolbox eval --protocol NAME` makes a score. You cannot compare "
    "scores of different protocols; [What a protocol is](../explanation/protocols.md) explains why. A plugin adds "
    "protocols by the hook [`toolbox_protocols`](hooks.md#toolbox.hookspecs.toolbox_protocols).",
    "metrics": "A metric is one number for the distance of a restored picture from the original or from the input. "
    "[Protocols](protocols.md) name their metrics, and `toolbox eval --metric NAME` adds one. A plugin adds metrics by "
    "the hook [`toolbox_metrics`](hooks.md#toolbox.hookspecs.toolbox_metrics).",
    "losses": "Training makes a loss smaller. A [recipe](recipe.md) names one, or several to sum up: "
    "`loss: [l1, {name: frequency, weight: 0.05}]`. A plugin adds losses by the hook "
    "[`toolbox_losses`](hooks.md#toolbox.hookspecs.toolbox_losses).",
    "datasets": "A [recipe](recipe.md) takes its pictures from datasets: `data: photos` are the pictures of a folder, "
    "`data: {clean: sharp, degraded: blurred}` the pairs of two folders, and `data: {name: NAME, ...}` any other. A "
    "plugin adds datasets by the hook [`toolbox_datasets`](hooks.md#toolbox.hookspecs.toolbox_datasets).",
    "degradations": "A [training recipe](recipe.md) applies degradations to good pictures, one after the other, and "
    "the network learns to undo them. A plugin adds degradations by the hook "
    "[`toolbox_degradations`](hooks.md#toolbox.hookspecs.toolbox_degradations).",
    "converters": "`toolbox convert` turns these published checkpoints into [weights files](weights-file.md). It "
    "recognizes the format, executes nothing in the file, and names a tensor that is missing, unexpected or of another "
    "shape. When the file leaves something open, give it as `--hint KEY=VALUE`. A plugin adds formats by the hook "
    "[`toolbox_converters`](hooks.md#toolbox.hookspecs.toolbox_converters).",
}
TITLE = {"converters": "Checkpoint formats"}


def pages() -> Iterator[tuple[str, str]]:
    """(path, text) of every page."""
    for kind in filter(records, other_registries()):
        rows = [(f"[`{each.name}`](#{each.name})", each.summary) for each in records(kind)]
        entries = [block for record in records(kind) for block in _entry(kind, record)]
        title = TITLE.get(kind, kind.replace("_", " ").capitalize())
        head = table(("name", "description"), rows)
        yield f"{FOLDER}/{kind.replace('_', '-')}.md", page(title, INTRODUCTION.get(kind, ""), head, *entries)


def _entry(kind: str, record: Any) -> list[str]:
    head = f"## `{record.name}` {{#{record.name}}}"
    summary = f"{record.summary[0].upper()}{record.summary[1:]}."
    if kind == "protocols":
        topics = describe(record)
        return [
            head,
            summary,
            facts({key: f"`{value}`" if key == "plugin" else value for key, value in topics.items()}),
        ]
    if kind == "metrics":
        fields = describe_metric(record)
        return [
            head,
            summary,
            facts({key: f"`{value}`" if key == "plugin" else value for key, value in fields.items()}),
        ]
    if kind in ("degradations", "losses", "datasets"):
        topics = {"source": record.source, "plugin": f"`{record.provider}`"}
        return [head, summary, facts(topics), settings(record.config)]
    if kind == "converters":
        fields = {"plugin": f"`{record.provider}`", "written by": linked(record.url, record.url)}
        fields |= {"license of the authors' weights": record.license} if record.license else {}
        return [head, summary, facts(fields), _hints(record)]
    return [head, summary, facts({"plugin": f"`{record.provider}`"})]


def _hints(record: Any) -> str:
    return f"Hints:\n\n{settings(record.hints)}" if record.hints.model_fields else "It needs no hints."
