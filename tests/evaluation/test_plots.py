"""Figures of a report."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.test_report import report, score
from toolbox.errors import ToolboxError
from toolbox.evaluation.plots import SCALES, load_figure, plot


def test_the_scales_of_a_curve_go_from_one_and_a_half_to_eight() -> None:
    assert (SCALES[0], SCALES[-1], len(SCALES)) == (1.5, 8, 14)


def width(path: Path) -> int:
    with Image.open(path) as image:
        assert np.asarray(image.convert("L")).std() > 5  # something is drawn
        return image.width


@pytest.mark.filterwarnings("error")
def test_several_scales_have_a_panel_of_their_own(tmp_path: Path) -> None:
    one = report(score("net", "a", 30.0), score("bicubic", "a", 25.0))
    several = report(*one.scores, score("net", "a", 28.0, scale=2.5), score("bicubic", "a", 23.0, scale=2.5))
    plot(one, tmp_path / "one.png")
    plot(several, tmp_path / "several.png")
    assert width(tmp_path / "several.png") > width(tmp_path / "one.png")


def test_models_without_parameters_or_common_scales_are_drawn_too(tmp_path: Path) -> None:
    plot(report(score("net", "a", 30.0, scale=1.5), score("bicubic", "a", 25.0, scale=3)), tmp_path / "a.png")
    assert width(tmp_path / "a.png")


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        ToolboxError, match=r"matplotlib, which is not installed; pip install 'toolbox-restoration\[plot\]'$"
    ):
        load_figure()
