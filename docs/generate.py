"""Write the generated part of the documentation: marked pages of docs/reference/, drawings, the README's table.

    python docs/generate.py           # write it again, and remove pages of what is gone
    python docs/generate.py --check   # only compare; the exit code is 1 when something differs
    python docs/generate.py --pictures    # run the pages that embed photographs, and keep what they make

It describes the registered records. Run it again after you add a component, a command or a hook.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from generator import (
    architectures,
    commands,
    components,
    contracts,
    drawings,
    hooks,
    python_api,
    readme,
    records,
    running,
    specs,
)
from generator.markdown import MARK

DOCS = Path(__file__).resolve().parent
REFERENCE = DOCS / "reference"


def generated() -> dict[Path, str]:
    """The text of every generated file."""
    makers = (components, contracts, architectures, commands, hooks, records, specs, python_api, drawings, readme)
    return {(DOCS / path).resolve(): text for maker in makers for path, text in maker.pages()}


def differences(files: dict[Path, str]) -> dict[Path, str]:
    """The generated files that differ, and the reasons."""
    found = {}
    for path, text in files.items():
        if not path.exists():
            found[path] = "is missing"
        elif path.read_text(encoding="utf-8") != text:
            found[path] = "is not what is generated"
    return found | dict.fromkeys(leftovers(files), "is of something that is gone")


def leftovers(files: Iterable[Path]) -> list[Path]:
    """Marked pages and pictures that nothing generates any more."""
    kept = set(files)
    present = [*REFERENCE.rglob("*.svg"), *REFERENCE.rglob("*.md")]
    return [
        path
        for path in present
        if path not in kept and (path.suffix == ".svg" or MARK in path.read_text(encoding="utf-8"))
    ]


def main() -> None:
    """Write or compare the generated files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--pictures", action="store_true", help="make the photographs anew, and write nothing else")
    arguments = parser.parse_args()
    if arguments.pictures:
        for picture in running.make_pictures(DOCS):
            print(f"wrote {picture.relative_to(DOCS.parent)}")
        return
    check, files = arguments.check, generated()
    different = differences(files)
    if check:
        for path, reason in sorted(different.items()):
            print(f"{path.relative_to(DOCS.parent)} {reason}; run `python docs/generate.py`", file=sys.stderr)
        sys.exit(1 if different else 0)
    for path in leftovers(files):
        path.unlink()
    for path, text in files.items():
        if path in different:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    print(f"{len(files)} files, {len(different)} of them changed")


if __name__ == "__main__":
    main()
