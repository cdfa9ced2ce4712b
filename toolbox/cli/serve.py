"""``toolbox serve``: a page and an API that restore pictures on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolbox.cli.options import Catalog


def serve(
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="NAME",
            help="Listen at this name or address, such as 0.0.0.0 for all; clients then need the token that is "
            "printed. Default: this machine alone.",
        ),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0 picks a free one.")] = 8765,
    browse: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
    catalog: Catalog = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps, ... Default: cpu.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", min=1, help="Threads. Default: one per core.")
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option("--max-memory", metavar="MEMORY", help="Memory limit of the worker, such as 2GB.")
    ] = None,
    max_upload: Annotated[int, typer.Option("--max-upload", metavar="MB", min=1, help="Size of an upload.")] = 64,
    max_pixels: Annotated[
        float, typer.Option("--max-pixels", metavar="MP", min=0.01, help="Megapixels of a picture, and of a result.")
    ] = 64,
    max_seconds: Annotated[float, typer.Option("--max-seconds", metavar="S", min=1, help="Time for a picture.")] = 600,
    max_waiting: Annotated[int, typer.Option("--max-waiting", metavar="N", min=1, help="Pictures that wait.")] = 16,
) -> None:
    """Serve a page that restores pictures, and an API for programs.

    The page and the API take pictures and give back results as `toolbox restore` does. Nothing leaves this machine, and
    nothing stays on it: the server keeps files in a private folder, and empties it.
    """
    import logging
    import sys
    from dataclasses import replace
    from importlib import metadata

    from toolbox.entry_points import DISTRIBUTION
    from toolbox.errors import ToolboxError

    try:
        import python_multipart  # noqa: F401  # which Starlette would miss at the first upload

        from toolbox.serving.limits import MB, Limits
        from toolbox.serving.server import ServerSettings
        from toolbox.serving.server import serve as serve_until_stopped
    except ImportError as error:
        raise ToolboxError(
            f"toolbox serve needs {error.name}, which is not installed; pip install 'toolbox-restoration[serve]'"
        ) from None
    if max_memory is not None:
        from toolbox.images.engine.plan import parse_memory

        parse_memory(max_memory)
    if catalog:
        from toolbox.discovery import installed_with

        installed_with(catalog)  # refuses a wrong one now, and not in the worker
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("toolbox.serving").setLevel(logging.INFO)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # its warnings quote what clients send
    pixels = int(max_pixels * 1e6)
    limits = replace(Limits(), upload=max_upload * MB, pixels=pixels, job_seconds=max_seconds, waiting=max_waiting)
    tasks = {
        "pixels": pixels,
        "catalogs": [str(Path(each).resolve()) for each in catalog or ()],
        "device": device,
        "max_memory": max_memory,
    }
    version = metadata.version(DISTRIBUTION)

    def announce(address: str) -> None:
        typer.echo(f"serving at {address}  (Ctrl-C stops it)")
        if browse and host is None:
            _open(address)

    serve_until_stopped(ServerSettings(host, port, limits, {"tasks": tasks, "threads": threads}, version), announce)


def _open(address: str) -> None:
    """Open a browser with a window; one for the terminal would take the terminal."""
    import os
    import sys
    import webbrowser

    if sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(address)
