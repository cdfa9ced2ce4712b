"""How threads wait and how many there are: by what the machine leaves free, unless the user chose."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from itertools import count

import pytest

from toolbox import machine_load
from toolbox.machine_load import COUNTS, WAIT_SETTINGS, Load, threads_for, wait_asleep


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*WAIT_SETTINGS, *COUNTS):
        monkeypatch.delenv(name, raising=False)


def loaded(monkeypatch: pytest.MonkeyPatch, others: float, cores: int) -> Load:
    """A load that looked for ten seconds, in which other programs kept so many cores busy."""
    monkeypatch.setattr(machine_load, "_cores", lambda: cores)
    busy, clock, own = count(100, round(10 * (others + 1))), count(0.0, 10.0), count(0.0, 10.0)
    monkeypatch.setattr(machine_load, "_busy", lambda: float(next(busy)))
    monkeypatch.setattr(time, "process_time", lambda: next(own))  # one core is our own
    times = iter((next(clock), 10.0, 10.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    return Load()


@pytest.mark.parametrize(
    ("others", "cores", "free"), [(0, 4, 4), (1, 4, 3), (2.4, 4, 2), (4, 4, 1), (9, 4, 1), (0.2, 2, 2), (0, 1, 1)]
)
def test_each_free_core_gets_a_thread(others: float, cores: int, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded(monkeypatch, others, cores).free_cores() == free


def test_the_cores_of_this_machine_are_the_most() -> None:
    assert 1 <= Load().free_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("name", COUNTS)
def test_a_number_that_the_user_set_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads_for(Load()) is not None
    monkeypatch.setenv(name, "3")
    assert threads_for(Load()) is None


def test_threads_wait_asleep_unless_the_user_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WAIT_SETTINGS:
        monkeypatch.setenv(name, "7")
        before = dict(os.environ)
        wait_asleep()
        assert dict(os.environ) == before
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_WAIT_POLICY", "")  # restored after the test
    monkeypatch.delenv("OMP_WAIT_POLICY")
    wait_asleep()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


CHECKED = """
import os, sys
from toolbox import cli
def app(_):
    assert "torch" not in sys.modules
    print(os.environ["OMP_WAIT_POLICY"])
cli.app = app
cli.main()
"""


def test_the_command_line_chooses_before_pytorch_is_loaded() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in WAIT_SETTINGS}
    done = subprocess.run([sys.executable, "-c", CHECKED], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "PASSIVE\n"
    assert "OMP_WAIT_POLICY" not in os.environ
