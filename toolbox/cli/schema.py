"""``toolbox schema``: the JSON Schema of a catalog, for completion in an editor."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON Schema of a catalog.

    It has every installed component. VS Code's YAML extension completes a catalog whose first line is
    `# yaml-language-server: $schema=schema.json`.
    """
    from toolbox.discovery import installed
    from toolbox.schema import catalog_schema

    typer.echo(json.dumps(catalog_schema(installed()), indent=2))
