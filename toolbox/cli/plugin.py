"""``toolbox plugin``: what authors of plugins need."""

from __future__ import annotations

import typer

app = typer.Typer(help="Make a plugin.", no_args_is_help=True)


@app.command("new")
def new(name: str) -> None:
    """Write a new plugin."""
