"""The score tables of the documentation are those of the weights that ship."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import toolbox
from tests.cli.command import Run
from tests.shared import reference

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "score_tables.py"
PAGE = ROOT / "docs" / "reference" / "scores.md"
SMALLEST = {"set12": "01.png", "set5/x2": "img_003_SRF_2_HR.png"}  # one picture of each table is scored again


def cells(text: str) -> list[list[str]]:
    """The rows of the Markdown tables of a text, headers included."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[0] != "---"]


@dataclass(frozen=True)
class Written:
    """One table of the page: its command, the means, and each picture's scores."""

    command: str
    means: list[list[str]]
    pictures: list[list[str]]

    @classmethod
    def of(cls, command: str, text: str) -> Written:
        means, pictures = text.split("<details")
        return cls(command, cells(means), cells(pictures))

    @property
    def data(self) -> str:
        return shlex.split(self.command)[shlex.split(self.command).index("--data") + 1]


TABLES = [
    Written.of(command, text)
    for command, text in re.findall(
        r"`(toolbox eval [^`]* --markdown)`\n(.*?)<!-- end of table -->",
        PAGE.read_text(encoding="utf-8"),
        re.DOTALL,
    )
]


def test_every_shipped_network_has_its_scores_and_they_are_of_the_weights_that_ship() -> None:
    written = {(row[0], row[-1]) for table in TABLES for row in table.means[1:]}
    shipped = {
        (info.name, hashlib.sha256(info.weights.read_bytes()).hexdigest()[:8])
        for info in toolbox.list_architectures()
        if isinstance(info.weights, Path)
    }
    assert shipped
    again = "; run examples/score_tables.py"
    assert shipped <= written, f"the page has scores of other weights than those that ship{again}"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.data)
def test_the_means_are_those_of_the_pictures(table: Written) -> None:
    scaled = table.means[0][1] == "scale"
    for row in table.means[1:]:
        column = table.pictures[0].index(f"{row[0]} PSNR")
        scores = [float(each[column]) for each in table.pictures[1:] if not scaled or each[1] == row[1]]
        assert len(scores) >= 5
        assert float(row[1 + scaled]) == pytest.approx(sum(scores) / len(scores), abs=0.0101)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.data)
def test_the_commands_give_what_is_written(
    table: Written,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    picture = reference("data", table.data, SMALLEST[table.data])
    (tmp_path / table.data).mkdir(parents=True)
    shutil.copy(picture, tmp_path / table.data)
    monkeypatch.chdir(tmp_path)
    if "liif.safetensors" in table.command:
        toolbox.save(toolbox.convert(reference("weights", "edsr-baseline-liif.pth")), "liif.safetensors")
    found = Written.of(table.command, run(*shlex.split(table.command)[1:]).out)
    assert found.pictures[0] == table.pictures[0]
    written = [row for row in table.pictures if row[0] == picture.name]
    for ours, theirs in zip(found.pictures[1:], written, strict=True):
        scores = 1 + (found.pictures[0][1] == "scale")
        assert ours[:scores] == theirs[:scores]
        assert [*map(float, ours[scores:])] == pytest.approx([*map(float, theirs[scores:])], abs=0.0101)


def test_the_script_writes_the_tables_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 20), dtype=np.uint8)).save(
        tmp_path / "data" / "a.png"
    )
    page = tmp_path / "scores.md"
    command = "`toolbox eval -m bicubic --data data --protocol denoise-gray --markdown`"
    page.write_text(f"before `toolbox eval`\n{command}\n\nold\n\n<!-- end of table -->\nafter\n", encoding="utf-8")
    subprocess.run([sys.executable, SCRIPT, "--data", tmp_path, "--page", page], check=True)
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before `toolbox eval`\n{command}\n\n| model | PSNR | parameters |")
    assert text.endswith("</details>\n\n<!-- end of table -->\nafter\n")
    assert "old" not in text
    assert "<details markdown>" in text
    assert "| a.png | 2" in text
