"""``toolbox push``: a weights file in, a page of the Hugging Face Hub out."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from toolbox.cli.options import Json


def push(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A weights file.")],
    repo: Annotated[str, typer.Argument(metavar="USER/REPO", help="A repository of the hub; it is made if need be.")],
    private: Annotated[bool, typer.Option("--private", help="Make the repository private.")] = False,
    pull_request: Annotated[
        bool, typer.Option("--pr", help="Open a pull request at an existing repository, and change nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Publish a weights file on the Hugging Face Hub.

    One commit has the file, a model card from its header, with metadata, and a picture: the one that the training made
    beside the file, or else a drawn chart before and after. Log in first with `hf auth login`, or set HF_TOKEN.
    """
    from toolbox.publishing.push import push as push_to_hub

    pushed = push_to_hub(file, repo, private=private, pull_request=pull_request)
    if as_json:
        typer.echo(json.dumps(asdict(pushed)))
        return
    verb = f"opened {pushed.url}" if pull_request else f"pushed to {pushed.url}"
    typer.echo(f"{verb} ({', '.join(pushed.files)}); use it with -m {pushed.source}")
