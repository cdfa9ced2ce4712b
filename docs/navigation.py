"""A hook of MkDocs that puts every page of the reference into the navigation, so that new pages need no list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

KINDS = ("encoder", "recurrent-wrapper", "transition", "nonlocal-block", "decoder")
FILES = ("contracts.md", "spec.md", "recipe.md", "weights-file.md", "scores.md", "speed.md", "front.md", "decoders.md")
FIRST = ("python", "command-line.md", "components", "architectures", *FILES, *KINDS)
TITLES = {
    "architectures": "Architectures",
    "components": "Components",
    "python": "Python",
    "encoder": "Encoders",
    "recurrent-wrapper": "Recurrent wrappers",
    "transition": "Transitions",
    "nonlocal-block": "Non-local blocks",
    "decoder": "Decoders",
}


def on_config(config: Any) -> Any:
    """Append the reference to the navigation of mkdocs.yml."""
    docs = Path(config.docs_dir)
    config.nav.append({"Reference": _entries(docs / "reference", docs)})
    return config


def _entries(folder: Path, docs: Path) -> list[Any]:
    """The index, then the pages in FIRST, then the rest by name; a folder is a section."""
    found: list[Any] = []
    for path in sorted(folder.iterdir(), key=_order):
        if path.is_dir():
            found.append({TITLES.get(path.name, path.name): _entries(path, docs)})
        elif path.suffix == ".md":
            found.append(path.relative_to(docs).as_posix())
    return found


def _order(path: Path) -> tuple[bool, int, str]:
    return path.name != "index.md", FIRST.index(path.name) if path.name in FIRST else len(FIRST), path.stem
