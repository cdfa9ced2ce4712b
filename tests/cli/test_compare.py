"""``toolbox compare``: pictures side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli.command import Run
from toolbox.images.comparison import draw_comparison
from toolbox.images.files.picture import read_picture


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """A dark picture, one twice as large, and a bright one of the size of the first."""
    paths = [tmp_path / f"{name}.png" for name in ("dark", "large", "bright")]
    for path, size, value in zip(paths, ((8, 6), (16, 12), (8, 6)), (40, 80, 200), strict=True):
        Image.new("RGB", size, (value, value, 0)).save(path)
    return paths


def test_the_sheet_is_that_of_the_library(run: Run, three: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "sheet.png"
    assert run("compare", *three, "-o", output).out == f"wrote {output}\n"
    expected = draw_comparison([read_picture(path) for path in three], [path.name for path in three]).sheet
    assert np.array_equal(np.asarray(read_picture(output)), np.asarray(expected))


def test_with_a_reference_scores_are_told(run: Run, three: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "sheet.png"
    result = run("compare", *three[:2], "--reference", three[0], "-o", output)
    assert result.out == f"wrote {output} (PSNR: dark.png inf dB, large.png 17.85 dB)\n"


def test_json_is_for_programs(run: Run, three: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "sheet.jpg"
    report = run("compare", *three[:2], "--reference", three[0], "-o", output, "--json").data
    assert [each["path"] for each in report["pictures"]] == [str(path) for path in three[:2]]
    assert [each["size"] for each in report["pictures"]] == [[8, 6], [16, 12]]
    assert report["pictures"][0]["psnr"] is None
    assert report["pictures"][1]["psnr"] == pytest.approx(17.85, abs=0.01)
    assert report["output"] == str(output)
    assert report["detail"].keys() == {"left", "top", "width", "height"}


def test_pictures_of_one_name_are_told_apart(
    run: Run, three: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    def draw(_: Any, labels: list[str], *__: Any) -> Image.Image:
        drawn.extend(labels)
        return Image.new("L", (1, 1))

    monkeypatch.setattr("toolbox.images.comparison._draw", draw)
    (tmp_path / "other").mkdir()
    other = three[0].rename(tmp_path / "other" / "bright.png")
    assert run("compare", three[2], other, "-o", tmp_path / "sheet.png").code == 0
    assert drawn == [str(three[2]), str(other)]


def test_one_picture_is_not_enough(run: Run, three: list[Path], tmp_path: Path) -> None:
    assert "got one picture, expected two or more" in run("compare", three[0], "-o", tmp_path / "sheet.png").usage
    assert not (tmp_path / "sheet.png").exists()


def test_bad_input_is_a_sentence_and_loses_nothing(run: Run, three: list[Path], tmp_path: Path) -> None:
    before = three[0].read_bytes()
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    for pictures, output, sentence in (
        ((three[0], three[1]), three[0], "dark.png is one of the pictures; choose another name"),
        ((three[0], tmp_path / "none.png"), tmp_path / "sheet.png", "none.png: cannot be read: No such file"),
        ((three[0], tmp_path / "text.png"), tmp_path / "sheet.png", "text.png: not a picture in a supported format"),
        ((three[0], three[1]), tmp_path / "sheet.xyz", "no picture format has the suffix '.xyz'"),
        ((three[0], three[1]), tmp_path / "none" / "sheet.png", "does not exist; create it first"),
    ):
        result = run("compare", *pictures, "-o", output)
        assert sentence in result.sentence
        assert result.code == 1
    assert three[0].read_bytes() == before
    assert not (tmp_path / "sheet.png").exists()
