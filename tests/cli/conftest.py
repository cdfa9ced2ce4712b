"""Running the command line in this process, and a small picture and model to run it on."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import toolbox
from tests.cli.command import NET, Result, Run
from tests.parts import restorer_of
from toolbox.cli import main


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``toolbox ARGUMENTS``, as from a shell, with warnings shown and not raised."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["toolbox", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            try:
                main()
            except SystemExit as end:
                code = end.code
        assert isinstance(code, int) or code is None
        captured = capsys.readouterr()
        return Result(code or 0, captured.out, captured.err)

    return run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A color picture of 12 × 9 pixels."""
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The weights file of a tiny network for any size."""
    path = tmp_path / "net.safetensors"
    toolbox.save(restorer_of(NET).float(), path)
    return path
