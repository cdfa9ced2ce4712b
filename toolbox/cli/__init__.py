"""The command line: one file per command, heavy imports inside them."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from typing import Annotated

import typer

from toolbox.cli import (
    bench,
    compare,
    compose,
    convert,
    doctor,
    eval_,
    export,
    inspect_,
    list_,
    models,
    plugin,
    push,
    restore,
    schema,
    serve,
    show,
    summarize,
    train,
)
from toolbox.cli.plugin_commands import Commands
from toolbox.entry_points import SELECTION
from toolbox.errors import ImageError, ToolboxError, TrainingError, WeightsError
from toolbox.files import printable
from toolbox.machine_load import wait_asleep

app = typer.Typer(
    name="toolbox",
    cls=Commands,
    help="Restore pictures, and compose the networks that restore them: an encoder feeds a decoder.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("restore")(restore.restore)
app.command("serve")(serve.serve)
app.command("summarize")(summarize.summarize)
app.command("inspect")(inspect_.inspect_)
app.command("compare")(compare.compare)
app.command("convert")(convert.convert)
app.command("export")(export.export)
app.command("push")(push.push)
app.command("eval")(eval_.eval_)
app.command("train")(train.train)
app.command("bench")(bench.bench)
app.command("list")(list_.list_)
app.command("models")(models.models)
app.command("show")(show.show)
app.command("compose")(compose.compose)
app.command("schema")(schema.schema)
app.command("doctor")(doctor.doctor)
app.add_typer(plugin.app, name="plugin")


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    no_plugins: Annotated[
        bool,
        typer.Option(
            "--no-plugins", help=f"Use only the built-in plugins; to add plugins a and b alone, set {SELECTION}=a,b."
        ),
    ] = False,
) -> None:
    """Options of every command. ``main`` reads them, since they may stand before or after the command."""


def main() -> None:
    """Run the command line. The exit code is 0 for done, 1 for a failed input, 2 for wrong usage."""
    wait_asleep()
    warnings.showwarning = _show_warning  # type: ignore[assignment]  # it ignores where the warning was raised
    debug = "--debug" in sys.argv[1:]
    if "--no-plugins" in sys.argv[1:]:
        os.environ[SELECTION] = ""  # also for the processes that a command starts
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--debug", "--no-plugins")]
    try:
        app(arguments)
    except ToolboxError as error:
        if debug:
            traceback.print_exc()
        print(f"error: {printable(error)}", file=sys.stderr)  # noqa: T201  # the command line talks
        sys.exit(1 if isinstance(error, (ImageError, TrainingError, WeightsError)) else 2)


def _show_warning(message: Warning | str, *_: object) -> None:
    print(f"warning: {printable(message)}", file=sys.stderr)  # noqa: T201  # the command line talks
