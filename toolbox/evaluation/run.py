"""Several models on a folder: what fails is listed, what is scored already is passed over."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from toolbox.errors import SpecError, ToolboxError
from toolbox.evaluation.cases import Case, Sample, ahead, read_sample
from toolbox.evaluation.evaluate import Score, score
from toolbox.evaluation.protocols import metrics_of
from toolbox.evaluation.report import ModelFacts, Report
from toolbox.files import is_file
from toolbox.records import ProtocolInfo
from toolbox.registry import Registries
from toolbox.restorer import Restorer
from toolbox.weights.file import find_weights

FAILURES = (ToolboxError, RuntimeError, MemoryError)  # of one picture; memory that runs out is either of the last
Job = tuple[Case, list[str]]  # a picture, and the models that are to restore it


def new_report(
    models: Mapping[str, Restorer],
    protocol: ProtocolInfo,
    data: Path,
    low: str | None,
    level: float | None,
    metrics: Sequence[str],
    registries: Registries,
) -> Report:
    """A report without scores yet."""

    def versions_of(providers: Iterable[str]) -> dict[str, str]:
        return {name: registries.versions.get(name, "unknown") for name in sorted(set(providers))}

    facts = []
    for name, restorer in models.items():
        ships = name in registries.architectures and registries.architectures[name].weights is not None
        weights = find_weights(name, registries) if ships or is_file(Path(name)) else None
        sha256 = hashlib.sha256(weights.read_bytes()).hexdigest() if weights else None
        plugins = versions_of(part.info.provider for part in restorer.spec.parts())
        facts.append(ModelFacts(name, sum(p.numel() for p in restorer.parameters()), sha256, plugins))
    versions = versions_of(("toolbox", protocol.provider))
    versions |= {"torch": torch.__version__, "python": platform.python_version()}
    record = asdict(protocol) | {"shave": list(protocol.shave), "metrics": list(protocol.metrics)}
    record["patches"] = list(protocol.patches) if protocol.patches else None
    return Report(record, str(data), low, level, metrics_of(protocol, metrics), versions, facts)


def find_jobs(models: Mapping[str, Restorer], cases: Sequence[Case], protocol: ProtocolInfo) -> list[Job]:
    """Each case with the models that can do its scale.

    Raises:
        SpecError: a model can do none of them.
    """
    enlarges = protocol.enlarges
    for name, restorer in models.items():
        if not any(_does(restorer, case, enlarges) for case in cases):
            does = "keeps the size" if restorer.sizes == "same" else f"enlarges by {restorer.sizes}"
            asked = ", ".join(sorted({f"scale {c.scale:g}" for c in cases if c.scale})) if enlarges else "the same size"
            raise SpecError(f"model {name!r} {does}, but {protocol.name} was asked for {asked or 'enlarging'}")
    return [(case, [name for name in models if _does(models[name], case, enlarges)]) for case in cases]


def _does(restorer: Restorer, case: Case, enlarges: bool) -> bool:
    if restorer.sizes == "any":
        return True
    if restorer.sizes == "same" or not enlarges:
        return restorer.sizes == "same" and not enlarges
    return case.scale in (None, restorer.sizes)


def run(
    models: Mapping[str, Restorer],
    jobs: Sequence[Job],
    protocol: ProtocolInfo,
    level: float,
    metrics: Sequence[str],
    workers: int,
) -> Iterator[tuple[Score, Tensor | None]]:
    """Each job's scores and restored pictures, as they are made; a failure has its sentence and no picture.

    Pictures are read and degraded ahead of the models in as many threads as there are workers; their
    number changes no score.
    """

    def read(job: Job) -> tuple[Job, Sample | Exception]:
        try:
            return job, read_sample(job[0], protocol, level)
        except FAILURES as error:
            return job, error

    for (case, names), sample in ahead(read, jobs, workers):
        name, sha256 = case.original.name, case.sha256()
        for model in names:
            try:
                if isinstance(sample, Exception):
                    raise sample
                found, restored = score(models[model], name, sample, protocol, metrics)
                yield replace(found, model=model, sha256=sha256), restored
            except FAILURES as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                yield Score(name, case.scale or 0.0, {}, error=reason, model=model, sha256=sha256), None
