"""A hook of MkDocs that puts on the site what it shares with the page of ``toolbox serve``: the slider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

FOLDER = Path("toolbox", "serving", "page")
NAMES = ("slider.css", "slider.js")


def on_files(files: Any, config: Any) -> Any:
    """Add the files to the folder of the page "Try it in your browser"."""
    root = Path(config.docs_dir).parent
    for name in NAMES:
        files.append(File.generated(config, f"browser/{name}", abs_src_path=str(root / FOLDER / name)))
    return files
