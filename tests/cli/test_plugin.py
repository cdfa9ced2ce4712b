"""``toolbox plugin new``, and the example plugins: their own tests pass."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.cli.command import Run
from tests.test_example_plugins import install
from tests.test_release import EXAMPLES, ROOT, python
from toolbox.cli.plugin import KINDS


def test_the_smallest_plugin_has_less_than_sixty_lines_all_in_all() -> None:
    files = [path for path in EXAMPLES[0].iterdir() if path.is_file()]
    assert {path.suffix for path in files} == {".py", ".toml", ".md"}
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) < 60


def test_example_plugins_and_a_new_one_pass_their_own_tests(tmp_path: Path) -> None:
    new = tmp_path / "my-plugin"
    assert "encoder: my-plugin" in python("-m", "toolbox", "plugin", "new", "my-plugin", "--folder", new)
    packages = [*EXAMPLES, new]
    site = tmp_path / "site"
    python("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", site, *packages)
    options = ["-q", "-p", "no:cacheprovider", "-k", "not set12", f"--rootdir={tmp_path}"]
    printed = python("-m", "pytest", *options, *packages, PYTHONPATH=str(site))
    assert " passed" in printed
    assert "skipped" not in printed


def test_a_new_package_of_every_kind_passes_its_own_tests(run: Run, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    packages = [tmp_path / f"my-{kind}" for kind in KINDS]
    for kind, package in zip(KINDS, packages, strict=True):
        printed = run("plugin", "new", f"toolbox-plugin-my-{kind}", "--kind", kind, "--folder", package).out
        assert f"write {KINDS[kind].article} of your own in {package}" in printed
        assert f"my-{kind}" in printed.splitlines()[1] or kind == "converter"
        assert not [path for path in package.iterdir() if "minimal" in f"{path.name} {path.read_text()}".lower()]
        install(package, site)
    path = os.pathsep.join(map(str, [*packages, site]))
    options = ["-p", "no:cacheprovider", f"--rootdir={tmp_path}", "-rA"]
    printed = python("-m", "pytest", *options, *packages, PYTHONPATH=path)
    passed = set(re.findall(r"PASSED \S*?(my-[\w-]+)/", printed))
    assert passed == {package.name for package in packages}
    assert "skipped" not in printed


def test_a_release_tries_every_kind() -> None:
    tried = re.search(r"^release: KINDS = (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert tried
    assert tried[1].split() == list(KINDS)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("My_Plugin", "encoder", "got the name 'My_Plugin', expected lower-case words joined by dashes, such as my-p"),
        ("class", "encoder", "got the name 'class', expected lower-case words joined by dashes, such as my-plugin"),
        ("json", "encoder", "got the name 'json', but a module json is already installed; choose another name"),
        (
            "toolbox-plugin-rdn",
            "encoder",
            "got the name 'toolbox-plugin-rdn', but toolbox has the encoder 'rdn'; choose another name",
        ),
        (
            "toolbox-plugin-jpeg",
            "degradation",
            "got the name 'toolbox-plugin-jpeg', but toolbox has the degradation 'jpeg'; choose another name",
        ),
        ("taken", "loss", "taken exists; choose another name or --folder"),
        ("fine", "implicit-dekoder", "got the kind 'implicit-dekoder'; did you mean 'implicit-decoder'?"),
        ("fine", "x", "got the kind 'x'; expected one of encoder, decoder, implicit-decoder, nonlocal-block, tran"),
    ],
)
def test_what_a_new_plugin_cannot_be_is_refused(
    name: str, kind: str, message: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").mkdir()
    assert run("plugin", "new", name, "--kind", kind).sentence.startswith(message)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
