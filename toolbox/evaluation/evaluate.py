"""The public call ``evaluate``: score models on a folder of pictures by a named protocol."""

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
from toolbox.evaluation.cases import QUALITY, Case, find_cases
from toolbox.evaluation.protocols import metrics_of
from toolbox.evaluation.report import ModelFacts, Report, resume, write_report
from toolbox.evaluation.run import Job, find_jobs, run
from toolbox.evaluation.scoring import Score
from toolbox.evaluation.sheet import choose_rows, draw_sheet
from toolbox.files import is_file
from toolbox.hub import is_hub_name
from toolbox.images.arrays import to_image
from toolbox.images.files.formats import check_writable
from toolbox.images.files.picture import write_picture
from toolbox.records import ProtocolInfo
from toolbox.registry import Registries
from toolbox.restorer import Restorer
from toolbox.weights.file import find_weights
from toolbox.weights.find import find_model

SIGMA = 25.0  # default noise level of 255, for protocols that add noise

AnyPath = str | Path
AnyModel = AnyPath | Restorer


def evaluate(
    models: AnyModel | Sequence[AnyModel],
    data: AnyPath,
    protocol: str,
    *,
    sigma: float | None = None,
    quality: int | None = None,
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

    A picture that fails does not stop the others; ``Report.failures()`` lists it.

    Args:
        models: one or several names of the catalog or the hub, weights files or restorers. A restorer is named by the
            summary of its spec.
        data: the folder with the original pictures, or with pairs.
        protocol: the name of a protocol, which defines everything that moves a score.
        sigma: noise level of 255, if the protocol adds noise; by default 25.
        quality: JPEG quality, 1 to 100, if the protocol compresses; by default 40.
        low: the folder of the low-resolution pictures, or the ending of their names; by default ``*_LR`` beside
            ``*_HR``, unless scales are given.
        scales: scales by which to reduce the originals.
        metrics: names of metrics besides the protocol's.
        results: a JSON file that keeps each score as it is made. Existing scores are not made again.
        save: a folder for the restored pictures, ``MODEL/PICTURE.png``.
        sheet: a picture file for crops side by side, the worst first.
        workers: threads that read and degrade pictures; their number changes no score.
        on_score: called with each new score, the number of scores made so far, and the number to make.
        registries: where to look up names; by default the installed ones.

    Returns:
        Every score, the means, and the conditions of the run.

    Raises:
        UnknownComponent: no model or protocol has that name.
        WeightsError: a model cannot be loaded.
        ImageError: there is no picture to score, or a file or folder cannot be written.
        SpecError: the protocol takes no such input, a model does not do that scale, or ``results`` holds scores
            of another kind.
    """
    registries = in_use(registries)
    how = registries.protocols[protocol]
    if sheet is not None:
        check_writable(Path(sheet))
    if results is not None and not Path(results).parent.is_dir():
        raise SpecError(f"{results}: the folder {Path(results).parent} does not exist; create it first")
    if sigma is not None and how.noise_seed is None:
        raise SpecError(f"got sigma {sigma:g}, but {protocol} adds no noise; leave it out")
    if quality is not None and not how.compresses:
        raise SpecError(f"got quality {quality}, but {protocol} does not compress; leave it out")
    level = None if how.noise_seed is None else SIGMA if sigma is None else sigma
    cases = find_cases(Path(data), how, None if low is None else str(low), scales)
    restorers, facts = _load([models] if isinstance(models, AnyModel) else models, registries)
    folders = {} if save is None else _make_folders(Path(save), restorers)
    pairs = str(low or ("_clean" if how.same_size_pairs else "_LR")) if cases[0].low is not None else None
    report = Report(
        protocol=_protocol_record(how),
        data=str(data),
        low=pairs,
        sigma=level,
        quality=(QUALITY if quality is None else quality) if how.compresses else None,
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
    scores = run(restorers, missing, how, level or 0.0, report.metrics, workers, report.quality or QUALITY)
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
    """Load the models by name, each once, with their facts for the report."""
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
            sha256 = _file_digest(restorers[name].source or name, registries)
        parameters = sum(parameter.numel() for parameter in restorers[name].parameters())
        plugins = _versions((part.info.provider for part in restorers[name].spec.parts()), registries)
        facts.append(ModelFacts(name, parameters, sha256, plugins, restorers[name].source))
    return restorers, facts


def _file_digest(name: str, registries: Registries) -> str | None:
    """The SHA-256 of a model's weights file, or None without a file."""
    ships = name in registries.architectures and registries.architectures[name].weights is not None
    if not ships and not is_hub_name(name) and not is_file(Path(name)):
        return None
    return hashlib.sha256(find_weights(name, registries).read_bytes()).hexdigest()


def _digest(restorer: Restorer) -> str:
    """The SHA-256 of the spec and the tensors of a restorer in memory."""
    digest = hashlib.sha256(restorer.spec.to_json().encode())
    for name, tensor in restorer.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _versions(providers: Iterable[str], registries: Registries) -> dict[str, str]:
    return {name: registries.versions.get(name, "unknown") for name in sorted(set(providers))}


def _protocol_record(protocol: ProtocolInfo) -> dict[str, object]:
    """The protocol for JSON, with lists instead of tuples."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(protocol).items()}


def _make_folders(save: Path, restorers: Mapping[str, Restorer]) -> dict[str, Path]:
    """Make a folder for the pictures of each model."""
    folders = {name: save / Path(name).stem for name in restorers}
    if len(set(folders.values())) < len(folders):
        raise SpecError(f"got models whose pictures would be saved in the same folder of {save}; rename one of them")
    for folder in folders.values():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageError(f"{folder}: the folder cannot be created: {error.strerror}") from None
    return folders


def _missing(report: Report, jobs: Sequence[Job], folders: Mapping[str, Path]) -> list[Job]:
    """The jobs whose score or saved picture is still missing."""

    def is_done(case: Case, name: str) -> bool:
        score = report.find(name, case)
        return score is not None and (not folders or _saved_at(folders[name], score).exists())

    remaining = [(case, [name for name in names if not is_done(case, name)]) for case, names in jobs]
    return [(case, names) for case, names in remaining if names]


def _saved_at(folder: Path, score: Score) -> Path:
    """The file for a restored picture."""
    scale = f"_x{score.scale:.4g}" if score.scale != 1 else ""
    return folder / f"{Path(score.picture).stem}{scale}.png"


def _save(restored: Tensor, path: Path) -> None:
    write_picture(to_image(restored[0].permute(1, 2, 0).cpu().numpy()), path)
