"""Push a weights file to the Hugging Face Hub, with a page that describes it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from toolbox.errors import WeightsError
from toolbox.files import is_file
from toolbox.hub import SUFFIX, HubName, hub_errors, parse_hub_name
from toolbox.publishing.metadata import front_matter
from toolbox.publishing.sheet import chart_sheet
from toolbox.restorer import Restorer
from toolbox.training.card import model_card
from toolbox.weights.file import load, read_header, read_metadata

CARD = "README.md"  # the page of a repository


@dataclass(frozen=True)
class Pushed:
    """What is on the hub now."""

    source: str  # hf://user/repo@COMMIT/file, or @refs/pr/N for a pull request
    files: tuple[str, ...]
    commit: str
    url: str  # of the commit, or of the pull request
    pull_request: int | None


def push(file: Path, repo: str, *, private: bool = False, pull_request: bool = False) -> Pushed:
    """Upload a weights file, its card and a picture in one commit.

    Args:
        file: a weights file that Toolbox wrote.
        repo: ``user/repo``. It is made if it does not exist.
        private: make it for its members alone.
        pull_request: propose the commit to an existing repository instead of making it.

    Raises:
        WeightsError: the file is no weights file of Toolbox, the repository must not be written, or is public
            although it should be private, or the hub cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    target = _target(repo)
    if not is_file(file) or file.suffix != SUFFIX:
        raise WeightsError(f"{file}: no such weights file; expected one that ends in {SUFFIX}")
    read_header(file)  # refuses the files of other programs
    contents: dict[str, str | bytes] = {file.name: str(file), **_page(file, load(file), target)}
    operations = [CommitOperationAdd(name, content) for name, content in contents.items()]
    api = HfApi()
    with hub_errors(target):
        if not pull_request:
            api.create_repo(target.repo, private=private or None, exist_ok=True)
        if private and not api.model_info(target.repo).private:
            raise WeightsError(f"{target}: exists and is public; make it private on its page first, or choose another")
        made = api.create_commit(
            target.repo, operations, commit_message=f"Upload {file.name}", create_pr=pull_request or None
        )
    revision = made.pr_revision if pull_request else made.oid
    return Pushed(
        source=str(HubName(target.repo, revision, file.name)),
        files=tuple(contents),
        commit=made.oid,
        url=str(made.pr_url if pull_request else made.commit_url),
        pull_request=made.pr_num,
    )


def _target(repo: str) -> HubName:
    """The repository of ``user/repo``."""
    target = parse_hub_name(f"hf://{repo}") if repo.count("/") == 1 else None
    if target is None or target.revision is not None:
        raise WeightsError(f"{repo}: expected user/repo, the name of a repository on the hub")
    return target


def _page(file: Path, restorer: Restorer, target: HubName) -> dict[str, bytes]:
    """The card, and the picture that the training made, or a drawn one."""
    license_of_weights = restorer.training_record.get("license") or read_metadata(file).get("modelspec.license")
    picture, caption = _picture(file, restorer)
    name = f"{file.stem}.png" if picture else None
    text = front_matter(restorer, file.stem, license_of_weights)
    text += "\n" + model_card(restorer, file.stem, str(target), caption, name)
    return {CARD: text.encode()} | ({} if name is None or picture is None else {name: picture})


def _picture(file: Path, restorer: Restorer) -> tuple[bytes | None, str]:
    """A PNG file and its caption; None if there is nothing to show."""
    beside = file.with_suffix(".png")
    if is_file(beside) and is_file(file.with_suffix(".md")):  # the training wrote both
        return beside.read_bytes(), f"degraded, and restored by {file.stem}"
    sheet = chart_sheet(restorer, file.stem)
    if sheet is None:
        return None, ""
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue(), f"a drawn chart, degraded, and restored by {file.stem}; below, five times the error"
