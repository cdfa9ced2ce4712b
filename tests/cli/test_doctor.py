"""``toolbox doctor``: every fault of an installed package is one line, with what to do; and who is left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.test_discovery import GOOD, HEAD, write_package

COMPONENT = """
@hookimpl
def toolbox_components():
    from dataclasses import replace
    from toolbox.encoders.identity import IDENTITY
    return [replace(IDENTITY, name="{name}")]
"""
COMMAND = (
    "from pathlib import Path\n\ndef run(times: int = 1) -> None:\n    '''Say it.'''\n    print('said ' * times)\n"
)


@dataclass(frozen=True)
class Checked:
    """What the doctor printed, and its exit code."""

    code: int
    out: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)

    @property
    def faults(self) -> dict[str, dict[str, str]]:
        return {fault["package"]: fault for fault in self.data["faults"]}


def toolbox(folder: Path, *arguments: str, **variables: str) -> Checked:
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
        **variables,
    }
    command = [sys.executable, "-m", "toolbox", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    return Checked(done.returncode, done.stdout + done.stderr)


def add_command(folder: Path, package: str, name: str, target: str) -> None:
    entry_points = folder / f"{package}-1.0.dist-info" / "entry_points.txt"
    entry_points.write_text(
        f"{entry_points.read_text(encoding='utf-8')}\n[toolbox.commands]\n{name} = {target}\n", encoding="utf-8"
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good package with a command, and packages that each have one fault that an import shows."""
    folder = tmp_path_factory.mktemp("site")
    write_package(folder, "stranger", GOOD.replace('Path(__file__).with_name("stranger.yaml")', "__file__ + '.yaml'"))
    (folder / "stranger.py.yaml").write_text("{}", encoding="utf-8")
    (folder / "stranger_command.py").write_text(COMMAND, encoding="utf-8")
    add_command(folder, "stranger", "say", "stranger_command:run")
    write_package(folder, "importless", "import nowhere_to_be_found")
    write_package(folder, "first", HEAD + COMPONENT.format(name="same"))
    write_package(folder, "second", HEAD + COMPONENT.format(name="same"))
    write_package(folder, "newer", HEAD + "TOOLBOX_API = 99\n" + COMPONENT.format(name="new"))
    write_package(folder, "commander", HEAD + COMPONENT.format(name="other"))
    add_command(folder, "commander", "restore", "stranger_command:run")
    write_package(folder, "speechless", HEAD + COMPONENT.format(name="another"))
    add_command(folder, "speechless", "speak", "stranger_command:nothing")
    (folder / "toolbox_nlrn.py").write_text("", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def checked(site: Path) -> Checked:
    return toolbox(site, "doctor", "--json")


FAULTS = {
    "importless": (
        "plugin importless: ModuleNotFoundError: No module named 'nowhere_to_be_found'",
        "install the package that has the module nowhere_to_be_found, or remove it: pip uninstall importless",
    ),
    "second": (
        "plugin second: encoder 'same' of second is already provided by first; rename one of them",
        "tell its author, or remove it: pip uninstall second",
    ),
    "newer": (
        "plugin newer: it is written for version 99 of the plugin API, this toolbox has 1",
        "upgrade both: pip install --upgrade toolbox-restoration newer, or remove it: pip uninstall newer",
    ),
    "commander": (
        "its command 'restore' has the name of one of toolbox-restoration",
        "tell its author to rename it, or remove it: pip uninstall commander",
    ),
    "speechless": (
        "its command 'speak' cannot be loaded: AttributeError: module 'stranger_command' has no attribute 'nothing'",
        "repair it: pip install --force-reinstall speechless, or remove it: pip uninstall speechless",
    ),
}


@pytest.mark.parametrize("package", FAULTS)
def test_each_fault_is_told_with_package_version_file_and_remedy(package: str, checked: Checked, site: Path) -> None:
    fault = checked.faults[package]
    assert (fault["fault"], fault["remedy"]) == FAULTS[package]
    assert fault["version"] == "1.0"
    assert Path(fault["file"]).parent == site


def test_a_module_with_the_name_of_ours_is_told(checked: Checked, site: Path) -> None:
    shadows = [fault for fault in checked.data["faults"] if fault["package"] == "no package"]
    assert [(fault["file"], fault["fault"]) for fault in shadows] == [
        (str(site / "toolbox_nlrn.py"), "it has a module 'toolbox_nlrn', the name of one of Toolbox's")
    ]


def test_the_module_that_took_the_place_of_ours_is_set_aside(checked: Checked) -> None:
    assert checked.faults["toolbox-restoration"]["fault"].startswith("plugin toolbox_nlrn: it implements no hook; mark")


def test_nothing_else_is_a_fault_and_the_exit_code_says_so(checked: Checked) -> None:
    assert set(checked.faults) == {*FAULTS, "no package", "toolbox-restoration"}
    assert checked.code == 1


def test_what_plugins_bring_is_told(checked: Checked) -> None:
    plugins = {plugin["plugin"]: plugin for plugin in checked.data["plugins"]}
    assert plugins["stranger"]["brings"] == {
        "encoders": ["one-conv"],
        "protocols": ["rgb-wide"],
        "commands": ["say"],
    }
    assert plugins["first"]["brings"] == {"encoders": ["same"]}
    assert plugins["toolbox"]["package"] == "toolbox-restoration"
    assert "edsr" in plugins["toolbox"]["brings"]["encoders"]
    assert checked.data["versions"].keys() >= {"python", "torch", "toolbox"}
    assert checked.data["threads"] == 1
    assert checked.data["devices"][0].startswith("cpu")


def test_a_command_of_a_package_is_in_the_help_and_runs(site: Path) -> None:
    assert "said" in toolbox(site, "say").out
    help_text = toolbox(site, "--help")
    assert "  say " in help_text.out
    assert "stranger 1.0: a command" in help_text.out
    assert "--times" in toolbox(site, "say", "--help").out
    assert toolbox(site, "speak").out.startswith("error: command 'speak' of package speechless 1.0 cannot be loaded: ")


def test_without_plugins_their_commands_are_gone_too(site: Path) -> None:
    assert "  say " not in toolbox(site, "--no-plugins", "--help").out
    assert "No such command 'say'" in toolbox(site, "say", "--no-plugins").out
    assert "  say " in toolbox(site, "--help", TOOLBOX_PLUGINS="stranger").out
    assert "  say " not in toolbox(site, "--help", TOOLBOX_PLUGINS="first").out


def test_help_with_plugins_imports_nothing_heavy(site: Path) -> None:
    code = "import sys; from toolbox.cli import app; app(['--help'], standalone_mode=False); print('', *sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    *help_text, modules = done.stdout.splitlines()
    assert "  say " in "\n".join(help_text)
    assert not set(modules.split()) & {"torch", "numpy", "pydantic", "pluggy", "stranger", "stranger_command"}


def test_what_hangs_and_what_crashes_is_named_and_the_rest_is_used(tmp_path: Path) -> None:
    write_package(tmp_path, "sleeper", "import time\ntime.sleep(1000)\n")
    write_package(tmp_path, "crasher", "import os, sys\nprint('bye', file=sys.stderr, flush=True)\nos._exit(3)\n")
    write_package(tmp_path, "fine", HEAD + COMPONENT.format(name="fine"))
    checked = toolbox(tmp_path, "doctor", "--time-limit", "5", TOOLBOX_PLUGINS="sleeper,crasher,fine,gone")
    assert checked.code == 1
    lines = checked.out.splitlines()
    faults = {
        "crasher": "importing it ends the process with exit code 3: bye",
        "sleeper": "importing it does not end within 5 s",
    }
    expected = [
        f"fault: {name} 1.0 ({tmp_path / f'{name}.py'}): plugin {name}: {fault}; "
        f"remove it: pip uninstall {name}, or leave it out: --no-plugins"
        for name, fault in faults.items()
    ]
    expected.append("fault: no package (TOOLBOX_PLUGINS): no plugin is named gone; install it, or leave it out")
    assert [line for line in lines if line.startswith("fault: ")] == sorted(expected)
    assert lines[-1] == "3 faults"
    assert f"fine  fine 1.0, {tmp_path / 'fine.py'}" in lines


def test_without_plugins_a_healthy_installation_has_no_fault(tmp_path: Path) -> None:
    write_package(tmp_path, "sleeper", "import time\ntime.sleep(1000)\n")
    checked = toolbox(tmp_path, "--no-plugins", "doctor")
    assert checked.code == 0, checked.out
    assert checked.out.splitlines()[-1] == "0 faults"
    assert "left out by TOOLBOX_PLUGINS: sleeper" in checked.out
