"""Weights files on the Hugging Face Hub: ``hf://user/repo[@revision][/file]`` becomes a file of the local cache."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

from toolbox.close_names import did_you_mean
from toolbox.errors import WeightsError
from toolbox.files import printable

SCHEME = "hf://"
SUFFIX = ".safetensors"
FORM = "hf://user/repo[@revision][/file.safetensors]"
# A pull request is the one revision with slashes. Those of other names are written as %2F, as the hub's own clients do.
NAME = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>refs/pr/\d+|[^/@]+))?(/(?P<file>[^@]+))?")
REPO = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[^/@]+)?")
URL = re.compile(r"[A-Za-z][\w+.-]+://")
PAGE = re.compile(
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)(?:/(?:blob|resolve|tree)/([^/?]+)/?([^?]*))?(?:\?.*)?"
)
REFUSALS = (401, 403)  # HTTP statuses
FILES = (SUFFIX, ".bin", ".ckpt", ".npz", ".onnx", ".pt", ".pt2", ".pth", ".yaml", ".yml", ".json")


@dataclass(frozen=True)
class HubName:
    """A repository of models, and what to take from it."""

    repo: str
    revision: str | None = None  # a branch, a tag or a commit; None for the newest commit
    file: str | None = None  # None for its only weights file

    def __str__(self) -> str:
        revision = "" if self.revision is None else f"@{self.revision}"
        return f"{SCHEME}{self.repo}{revision}{'' if self.file is None else f'/{self.file}'}"


def is_hub_name(name: object) -> bool:
    """Whether a model's name begins with ``hf://``."""
    return str(name).startswith(SCHEME)


def parse_hub_name(name: str) -> HubName:
    """The parts of ``hf://user/repo[@revision][/file]``.

    Raises:
        WeightsError: the name has another form, or the file is none of safetensors.
    """
    match = NAME.fullmatch(name)
    file = match["file"] if match else None
    if match is None or any(part in ("", ".", "..") for part in (file or "file").replace("\\", "/").split("/")):
        raise WeightsError(f"{name}: expected {FORM}")
    if file is not None and not file.endswith(SUFFIX):
        raise WeightsError(
            f"{name}: got the file {file}, expected one that ends in {SUFFIX}, the only kind that Toolbox takes from "
            "the hub; download another kind yourself and give it to `toolbox convert`"
        )
    return HubName(match["repo"], unquote(match["revision"]) if match["revision"] else None, file)


def check_no_url(name: str) -> None:
    """Refuse the address of another host, and a page of the hub in the place of its name.

    Raises:
        WeightsError: the name is an address.
    """
    if not URL.match(name) or is_hub_name(name):
        return
    if page := PAGE.fullmatch(name):
        hint = str(HubName(page[1], page[2] if page[2] != "main" else None, page[3] or None))
        raise WeightsError(f"{name}: got an address; did you mean {hint}?")
    raise WeightsError(
        f"{name}: got an address, expected a name, a file or {FORM}; Toolbox fetches weights from the Hugging Face Hub "
        "alone, so download the file yourself and give its path"
    )


def did_you_mean_hub(name: str) -> str:
    """A hint for ``user/repo`` without ``hf://``; empty for anything else."""
    if REPO.fullmatch(name) and not name.lower().endswith(FILES):
        return f"did you mean {SCHEME}{name}?"
    return ""


def fetch(name: str) -> Path:
    """The weights file of a name on the hub, from the cache or downloaded to it.

    The environment decides where the cache is, which token is sent and whether the network is used: ``HF_HOME``,
    ``HF_TOKEN``, ``HF_HUB_OFFLINE`` and the other variables of huggingface_hub.

    Raises:
        WeightsError: there is no such repository, revision or file, it must not be read, or it cannot be downloaded.
    """
    from huggingface_hub import hf_hub_download

    wanted = parse_hub_name(name)
    with hub_errors(wanted):
        file = wanted.file or _only_file(wanted)
        return Path(hf_hub_download(wanted.repo, file, revision=wanted.revision))


def pinned(name: str) -> str:
    """The name with the commit and the file that it means now, so that it will always mean them.

    Raises:
        WeightsError: as ``fetch`` does.
    """
    return source_of(fetch(name)) or name


def source_of(path: Path) -> str | None:
    """``hf://user/repo@COMMIT/file`` for a file in the cache of the hub, None for any other file."""
    for number, part in enumerate(path.parts[:-2]):
        owner, _, repo = part.removeprefix("models--").partition("--")
        folder, commit, *file = path.parts[number + 1 :]
        if part.startswith("models--") and repo and folder == "snapshots" and file:
            return str(HubName(f"{owner}/{repo}", commit, "/".join(file)))
    return None


def _only_file(wanted: HubName) -> str:
    """The weights file of a repository that has just one."""
    files = _files(wanted)
    weights = [file for file in files if file.endswith(SUFFIX)]
    if len(weights) == 1:
        return weights[0]
    if weights:
        raise WeightsError(f"{wanted}: has several weights files; add one of /{', /'.join(weights[:8])}")
    held = f"only {', '.join(files[:8])}" if files else "nothing"
    raise WeightsError(f"{wanted}: expected a {SUFFIX} file in the repository, which has {held}")


def _files(wanted: HubName) -> list[str]:
    """The files of a repository, or those in the cache if the hub cannot be reached."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        siblings = HfApi().model_info(wanted.repo, revision=wanted.revision).siblings or []
        return sorted(each.rfilename for each in siblings)
    except HfHubHTTPError as error:
        if _status(error) < 500:
            raise
    except Exception:  # noqa: S110  # offline by choice or not: each client has errors of its own
        pass
    folder = Path(snapshot_download(wanted.repo, revision=wanted.revision, local_files_only=True))
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@contextmanager
def hub_errors(wanted: HubName) -> Iterator[None]:
    """Turn the errors of huggingface_hub into a WeightsError of one sentence."""
    from huggingface_hub.errors import HFValidationError

    try:
        yield
    except WeightsError:
        raise
    except HFValidationError:
        raise WeightsError(f"{wanted}: the hub has no such names; expected {FORM}") from None
    except Exception as error:  # besides the hub's own, those of the HTTP client, of which there are several
        _refuse(wanted, error)


def _refuse(wanted: HubName, error: Exception) -> NoReturn:
    """Say in one sentence why the hub did not do it."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repo, login = wanted.repo, "log in with `hf auth login`, or set HF_TOKEN"
    match error:
        case LocalEntryNotFoundError(__cause__=HfHubHTTPError() as cause) if _status(cause) in REFUSALS:
            _refuse(wanted, cause)  # older clients look into the cache after a refusal
        case LocalEntryNotFoundError():
            why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
            reason = f"is not in the cache, and {why}; connect once to download it"
        case GatedRepoError():
            reason = f"the authors of {repo} give it to accepted users alone; ask them on its page, and {login}"
        case RepositoryNotFoundError():
            reason = f"the hub has no repository {repo} that you may see; check the name, and if it is private, {login}"
        case RevisionNotFoundError():
            reason = f"{repo} has no revision {wanted.revision}; give a branch, a tag or a commit of it"
        case EntryNotFoundError():
            reason = f"{repo} has no file {wanted.file}; {_alternatives(wanted)}"
        case HfHubHTTPError() if _status(error) in REFUSALS:
            reason = f"the hub refuses it ({_status(error)}) with your token; {login} of an account that may do it"
        case _ if constants.HF_HUB_OFFLINE:
            reason = "HF_HUB_OFFLINE is set; unset it to reach the hub"
        case _:
            reason = f"the hub did not finish ({_first_line(error)}); try again"
    raise WeightsError(f"{wanted}: {reason}") from None


def _status(error: Exception) -> int:
    """The HTTP status of an error of the hub, 0 if it has none."""
    return int(getattr(getattr(error, "response", None), "status_code", 0))


def _alternatives(wanted: HubName) -> str:
    """The weights files that a repository has in the place of a missing one."""
    try:
        weights = [file for file in _files(wanted) if file.endswith(SUFFIX)]
    except Exception:  # the first error is the one to report
        weights = []
    return did_you_mean(str(wanted.file), weights) or _listed(weights) or f"it has no {SUFFIX} file at all"


def _listed(weights: Sequence[str]) -> str:
    return f"it has {', '.join(weights[:8])}" if weights else ""


def _first_line(error: BaseException) -> str:
    error = error.__cause__ or error  # an upload hides its reason
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return printable(lines[0].rstrip("."))[:200]
