"""What is timed is what its plain version computes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import COMPONENTS
from toolbox.benchmarking.bench import bench
from toolbox.decoders.implicit import ImplicitDecoder
from toolbox.discovery import installed
from toolbox.errors import SpecError, UnknownComponent

PLAIN = [info.name for info in COMPONENTS if info.plain]


def test_what_is_written_fast_has_a_plain_version() -> None:
    implicit = {info.name for info in COMPONENTS if ImplicitDecoder in getattr(info.factory, "__mro__", ())}
    assert "local-ensemble" in implicit
    assert set(PLAIN) >= implicit | {"soft-block-matching"}


@pytest.mark.parametrize("name", PLAIN)
def test_fast_and_plain_are_equal(name: str) -> None:
    row = bench(name, installed(), size=(9, 7), repeats=1)
    assert row.difference is not None
    assert 0 < row.difference < 1e-5
    assert row.times_faster is not None
    assert row.seconds > 0


def test_an_architecture_is_measured_against_the_peak_alone() -> None:
    row = bench("edsr-baseline-x2", installed(), size=(10, 12), repeats=1)
    assert (row.input, row.output) == ("1x3x10x12", "1x3x20x24")
    assert row.times_faster is None
    assert row.difference is None
    assert 0 < row.share_of_peak < 2
    assert row.microseconds_per_pixel == pytest.approx(1e6 * row.seconds / (20 * 24))


def test_scales_are_those_of_the_decoder() -> None:
    assert bench("local-ensemble", installed(), (6, 5), 2.5, 1).output == "1x3x15x13"
    assert bench("residual-conv", installed(), (6, 5), repeats=1).output == "1x3x6x5"
    with pytest.raises(SpecError, match="expected scale 2"):
        bench("edsr-baseline-x2", installed(), (6, 5), 3, 1)


def test_an_unknown_name_is_answered_with_close_ones() -> None:
    with pytest.raises(UnknownComponent, match=r"got 'local-ensembel', expected an arch.*, such as 'local-ensemble'"):
        bench("local-ensembel", installed())


def test_the_benchmarks_of_the_readme_can_be_run_in_parts() -> None:
    script = [sys.executable, str(Path(__file__).parents[2] / "benchmarks" / "run.py")]
    done = subprocess.run([*script, "speed"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "got speed, expected some of attention, nlrn, decoders, encoders, blocks, networks, " in done.stderr
