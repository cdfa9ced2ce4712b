"""The public call: models are scored on a folder of pictures by a named protocol."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from toolbox.discovery import in_use
from toolbox.errors import ImageError, SpecError
from toolbox.evaluation.cases import Case, find_cases
from toolbox.evaluation.protocols import metrics_of
from toolbox.evaluation.report import ModelFacts, Report, resume, write_report
from toolbox.evaluation.run import Job, find_jobs, run
from toolbox.evaluation.scoring import Score
from toolbox.evaluation.sheet import choose_rows, draw_sheet
from toolbox.files import is_file
from toolbox.images.arrays import to_image
from toolbox.images.files.formats import check_writable
from toolbox.images.files.picture import write_picture
from toolbox.records import ProtocolInfo
from toolbox.registry import Registries
from toolbox.restorer import Restorer
from toolbox.weights.file import find_weights
from toolbox.weights.find import find_model

SIGMA = 25.0  # of 255, where a protocol adds noise and the caller does not say how much

AnyPath = str | Path
AnyModel = AnyPath | Restorer


def evaluate(
    models: AnyModel | Sequence[AnyModel],
    data: AnyPath,
    protocol: str,
    *,
    sigma: float | None = None,
    low: AnyPath | None = None,
    scales: Sequence[float] = (),
    metrics: Sequence[str] = (),
    results: AnyPath | None = None,
    save: AnyPath | None = None,
    sheet: AnyPath | None = None,
    workers: int = 1,
    on_score: Callable[[Score, int, int], None] | None = None,
    registries: Registries | None = None,
) -> Report:
    """Score models on a folder of pictures by a protocol.

    A picture that fails is listed among ``Report.failures()``, and the rest go on.

    Args:
        models: one or several: names of the catalog, weights files or restorers. A restorer is called by its
            spec's summary.
        data: the folder with the original pictures, or with pairs.
        protocol: the name of a protocol, which says everything that moves a score.
        sigma: noise level of 255, where the protocol adds noise; 25 unless given.
        low: the low-resolution pictures: their folder, or what their names end in; by default ``*_LR`` beside
            ``*_HR``, unless scales are given.
        scales: low resolution is made by these scales.
        metrics: names of metrics beside the protocol's.
        results: a JSON file that gets each score as it is made; scores that it already has are not made again.
        save: a folder for the restored pictures, ``MODEL/PICTURE.png``.
        sheet: a picture file for crops side by side, the worst first.
        workers: threads that read and degrade pictures; their number changes no score.
        on_score: called with each new score, the number of scores made so far, and the number to make.
        registries: where names are looked up; what is installed unless given.

    Returns:
        Every score, their means, and what they were made with.

    Raises:
        UnknownComponent: no model or protocol has that name.
        WeightsError: a model cannot be loaded.
        ImageError: there is no picture to score, or a file or folder cannot be written.
        SpecError: the protocol takes no such input, a model does not do that scale, or ``results`` holds scores
            that were made in another way.
    """
    registries = in_use(registries)
    how = registries.protocols[protocol]
    if sheet is not None:
        check_writable(Path(sheet))
    if results is not None and not Path(results).parent.is_dir():
        raise SpecError(f"{results}: the folder {Path(results).parent} does not exist; make it first")
    if sigma is not None and how.noise_seed is None:
        raise SpecError(f"got sigma {sigma:g}, but {protocol} adds no noise; leave it out")
    level = None if how.noise_seed is None else SIGMA if sigma is None else sigma
    cases = find_cases(Path(data), how, None if low is None else str(low), scales)
    restorers, facts = _load([models] if isinstance(models, AnyModel) else models, registries)
    folders = {} if save is None else _make_folders(Path(save), restorers)
    pairs = str(low or "_LR") if cases[0].low is not None else None
    report = Report(
        protocol=_protocol_record(how),
        data=str(data),
        low=pairs,
        sigma=level,
        metrics=metrics_of(how, metrics),
        versions=_versions(("toolbox", how.provider), registries)
        | {"torch": torch.__version__, "python": platform.python_version()},
        models=facts,
    )
    if results is not None:
        report = resume(report, Path(results), cases)
    jobs = find_jobs(restorers, cases, how)
    missing = _missing(report, jobs, folders)
    total = sum(len(names) for _, names in missing)
    scores = run(restorers, missing, how, level or 0.0, report.metrics, workers)
    for done, (score, restored) in enumerate(scores, start=1):
        if restored is not None and folders:
            _save(restored, _saved_at(folders[score.model], score))
        report.add(score)
        if results is not None:
            write_report(report, Path(results))
        if on_score is not None:
            on_score(score, done, total)
    if sheet is not None and report.means():
        write_picture(draw_sheet(choose_rows(report, restorers, jobs, how)), Path(sheet))
    return report


def _load(models: Iterable[AnyModel], registries: Registries) -> tuple[dict[str, Restorer], list[ModelFacts]]:
    """The models by name, each once, and what the report says about them."""
    restorers: dict[str, Restorer] = {}
    facts = []
    for model in models:
        if isinstance(model, Restorer):
            name = model.spec.summary or "network"
            if restorers.setdefault(name, model) is not model:
                raise SpecError(f"got two models called {name!r}; give them different summaries")
            sha256: str | None = _digest(model)
        elif (name := str(model)) in restorers:
            continue
        else:
            restorers[name] = find_model(name, registries)
            sha256 = _file_digest(name, registries)
        parameters = sum(parameter.numel() for parameter in restorers[name].parameters())
        plugins = _versions((part.info.provider for part in restorers[name].spec.parts()), registries)
        facts.append(ModelFacts(name, parameters, sha256, plugins))
    return restorers, facts


def _file_digest(name: str, registries: Registries) -> str | None:
    """The SHA-256 of a model's weights file; None where it has none."""
    ships = name in registries.architectures and registries.architectures[name].weights is not None
    if not ships and not is_file(Path(name)):
        return None
    return hashlib.sha256(find_weights(name, registries).read_bytes()).hexdigest()


def _digest(restorer: Restorer) -> str:
    """The SHA-256 of a restorer in memory: of its spec and its tensors."""
    digest = hashlib.sha256(restorer.spec.to_json().encode())
    for name, tensor in restorer.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _versions(providers: Iterable[str], registries: Registries) -> dict[str, str]:
    return {name: registries.versions.get(name, "unknown") for name in sorted(set(providers))}


def _protocol_record(protocol: ProtocolInfo) -> dict[str, object]:
    """The protocol as JSON has it, with lists for tuples."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(protocol).items()}


def _make_folders(save: Path, restorers: Mapping[str, Restorer]) -> dict[str, Path]:
    """A folder for the pictures of each model."""
    folders = {name: save / Path(name).stem for name in restorers}
    if len(set(folders.values())) < len(folders):
        raise SpecError(f"got models whose pictures would be saved in the same folder of {save}; rename one of them")
    for folder in folders.values():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageError(f"{folder}: the folder cannot be made: {error.strerror}") from None
    return folders


def _missing(report: Report, jobs: Sequence[Job], folders: Mapping[str, Path]) -> list[Job]:
    """The jobs whose score, or whose saved picture, is not there yet."""

    def is_done(case: Case, name: str) -> bool:
        score = report.find(name, case)
        return score is not None and (not folders or _saved_at(folders[name], score).exists())

    remaining = [(case, [name for name in names if not is_done(case, name)]) for case, names in jobs]
    return [(case, names) for case, names in remaining if names]


def _saved_at(folder: Path, score: Score) -> Path:
    """The file that a restored picture is saved to."""
    scale = f"_x{score.scale:.4g}" if score.scale != 1 else ""
    return folder / f"{Path(score.picture).stem}{scale}.png"


def _save(restored: Tensor, path: Path) -> None:
    write_picture(to_image(restored[0].permute(1, 2, 0).cpu().numpy()), path)
