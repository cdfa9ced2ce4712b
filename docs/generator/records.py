"""Pages of what is registered beside components and architectures: protocols, degradations, checkpoint formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator.installed import other_registries, records
from generator.markdown import facts, linked, page, table
from generator.settings import settings
from toolbox.evaluation.protocols import describe

FOLDER = "reference"
INTRODUCTION = {
    "protocols": "How a score is made: what `toolbox eval --protocol NAME` does, in full. Scores of different "
    "protocols do not compare; [why](../explanation/protocols.md). A plugin adds protocols by the hook "
    "[`toolbox_protocols`](hooks.md#toolbox.hookspecs.toolbox_protocols).",
    "degradations": "What a [training recipe](recipe.md) can make of good pictures, one after the other, for a network "
    "to undo. A plugin adds degradations by the hook "
    "[`toolbox_degradations`](hooks.md#toolbox.hookspecs.toolbox_degradations).",
    "converters": "Published checkpoints that `toolbox convert` turns into "
    "[weights files](weights-file.md). The format is recognized, nothing in the file is executed, and a tensor that is "
    "missing, unexpected or of another shape is named. What the file cannot tell is given as `--hint KEY=VALUE`. "
    "A plugin adds formats by the hook [`toolbox_converters`](hooks.md#toolbox.hookspecs.toolbox_converters).",
}
TITLE = {"converters": "Checkpoint formats"}


def pages() -> Iterator[tuple[str, str]]:
    """(path, text) of every page."""
    for kind in filter(records, other_registries()):
        rows = [(f"[`{each.name}`](#{each.name})", each.summary) for each in records(kind)]
        entries = [block for record in records(kind) for block in _entry(kind, record)]
        title = TITLE.get(kind, kind.replace("_", " ").capitalize())
        head = table(("name", "what it is"), rows)
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
    if kind == "degradations":
        topics = {"source": record.source, "plugin": f"`{record.provider}`"}
        return [head, summary, facts(topics), settings(record.config)]
    if kind == "converters":
        told = {"plugin": f"`{record.provider}`", "written by": linked(record.url, record.url)}
        return [head, summary, facts(told), _hints(record)]
    return [head, summary, facts({"plugin": f"`{record.provider}`"})]


def _hints(record: Any) -> str:
    return f"Hints:\n\n{settings(record.hints)}" if record.hints.model_fields else "It needs no hints."
