"""Run several models on many pictures; a failure is recorded and does not stop the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from toolbox.errors import SpecError, ToolboxError
from toolbox.evaluation.cases import QUALITY, Case, Sample, read_sample
from toolbox.evaluation.prefetch import prefetched
from toolbox.evaluation.scoring import Score, score_picture
from toolbox.records import ProtocolInfo
from toolbox.restorer import Restorer

FAILURES = (ToolboxError, RuntimeError, MemoryError)  # of one picture; running out of memory raises one of the last two
Job = tuple[Case, list[str]]  # a picture, and the models to restore it


def find_jobs(models: Mapping[str, Restorer], cases: Sequence[Case], protocol: ProtocolInfo) -> list[Job]:
    """Pair each case with the models that can do its scale.

    Raises:
        SpecError: a model can do no case, or needs a condition that the protocol does not have.
    """
    enlarges, supplied = protocol.enlarges, protocol.tells()
    for name, restorer in models.items():
        if missing := [each for each in restorer.spec.conditions if each not in supplied]:
            tells = f"tells {', '.join(supplied)}" if supplied else "tells nothing"
            raise SpecError(f"model {name!r} needs {', '.join(missing)}, but {protocol.name} {tells}")
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
    sigma: float,
    metrics: Sequence[str],
    workers: int,
    quality: int = QUALITY,
) -> Iterator[tuple[Score, Tensor | None]]:
    """Yield the scores and restored pictures of each job; a failure has a sentence and no picture.

    ``workers`` threads read and degrade pictures ahead of the models. Their number changes no score.
    """

    def read(job: Job) -> tuple[Job, Sample | Exception]:
        try:
            return job, read_sample(job[0], protocol, sigma, quality)
        except FAILURES as error:
            return job, error

    for (case, names), sample in prefetched(read, jobs, workers):
        name, sha256 = case.original.name, case.sha256()
        for model in names:
            try:
                if isinstance(sample, Exception):
                    raise sample
                found, restored = score_picture(models[model], name, sample, protocol, metrics)
                yield replace(found, model=model, sha256=sha256), restored
            except FAILURES as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                yield Score(name, case.scale or 0.0, {}, error=reason, model=model, sha256=sha256), None
