"""The results of several jobs in one ZIP file."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from toolbox.serving.job import Job


def write_archive(jobs: Iterable[Job], folder: Path) -> Path:
    """Write the results of jobs that are done, each under its own name, and return the path of the file."""
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".zip", delete=False) as file:
        names: set[str] = set()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # pictures are compressed already
            for job in jobs:
                path = job.folder / job.files["result"]["path"]
                archive.write(path, _free(path, names))
    return Path(file.name)


def _free(path: Path, taken: set[str]) -> str:
    """The name of a file, with a number if it is taken."""
    name, number = path.name, 1
    while name in taken:
        number += 1
        name = f"{path.stem} ({number}){path.suffix}"
    taken.add(name)
    return name
