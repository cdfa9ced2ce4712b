"""Write the tables of docs/reference/scores.md again, each by the command above it.

    python examples/score_tables.py --data FOLDER

The folder holds the test pictures and the converted weights that the commands name.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "scores.md"
TABLE = re.compile(r"(?<=`)(toolbox eval [^`]* --markdown)`\n.*?(?=<!-- end of table -->)", re.DOTALL)


def main() -> None:
    """Run every command and replace the table below it by what the command prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder to run the commands in")
    parser.add_argument("--page", type=Path, default=PAGE, help="file to rewrite (default: docs/reference/scores.md)")
    arguments = parser.parse_args()

    def written(match: re.Match[str]) -> str:
        command = [sys.executable, "-m", *shlex.split(match[1])]
        done = subprocess.run(command, cwd=arguments.data, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # our own page
        table = done.stdout.replace("<details>", "<details markdown>")  # else the site shows the table as text
        return f"{match[1]}`\n\n{table}\n"

    text = arguments.page.read_text(encoding="utf-8")
    arguments.page.write_text(TABLE.sub(written, text), encoding="utf-8")


if __name__ == "__main__":
    main()
