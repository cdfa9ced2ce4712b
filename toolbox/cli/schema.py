"""``toolbox schema``: the JSON Schema by which an editor completes a catalog."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    pass


def schema() -> None:
    """Print the JSON Schema of a catalog, with every component that is installed.

    In VS Code's YAML extension: `# yaml-language-server: $schema=schema.json` as the file's first line.
    """
    from toolbox.discovery import installed
    from toolbox.schema import catalog_schema

    typer.echo(json.dumps(catalog_schema(installed()), indent=2))
