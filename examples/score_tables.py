"""Write the score tables of README.md again, each by the command above it.

    python examples/score_tables.py --data FOLDER

The folder holds what the commands name: the test pictures, and converted weights.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
TABLE = re.compile(r"(?<=`)(toolbox eval [^`]* --markdown)`\n.*?(?=<!-- end of table -->)", re.DOTALL)


def main() -> None:
    """Run every command and put what it prints in the place of the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder to run the commands in")
    parser.add_argument("--readme", type=Path, default=README, help="the file to rewrite (default: README.md)")
    arguments = parser.parse_args()

    def written(match: re.Match[str]) -> str:
        command = [sys.executable, "-m", *shlex.split(match[1])]
        done = subprocess.run(command, cwd=arguments.data, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # our own README
        return f"{match[1]}`\n\n{done.stdout}\n"

    text = arguments.readme.read_text(encoding="utf-8")
    arguments.readme.write_text(TABLE.sub(written, text), encoding="utf-8")


if __name__ == "__main__":
    main()
