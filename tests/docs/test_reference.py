"""The generated reference is what is generated now, and nothing that is registered is without its page."""

from __future__ import annotations

import re
from pathlib import Path

import generate
import pytest
import typer
from generator import commands, contracts, figures, installed, markdown

import toolbox
from toolbox import hookspecs
from toolbox.cli import app
from toolbox.config import KINDS
from toolbox.testing import HOOK_RULES, RULES
from toolbox.testing.hook_rules import all_rules

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
AGAIN = "run `python docs/generate.py`"


def test_the_generated_pages_are_what_is_generated() -> None:
    different = generate.differences(generate.generated())
    assert {str(path.relative_to(ROOT)): reason for path, reason in different.items()} == {}, AGAIN


@pytest.mark.parametrize("kind", KINDS)
def test_every_component_has_a_page_with_a_picture(kind: str) -> None:
    for info in toolbox.list_components(kind):  # type: ignore[arg-type]  # each of KINDS is one
        if info.provider in installed.providers():
            text = (REFERENCE / "components" / kind / f"{info.name}.md").read_text(encoding="utf-8")
            assert text.startswith(f"# {info.name}\n")
            assert info.paper in text
            assert f"({info.name}.svg)" in text
            assert (REFERENCE / "components" / kind / f"{info.name}.svg").exists()
            assert f"::: {info.factory.__module__}.{info.factory.__qualname__}" in text


def test_every_architecture_has_a_page_with_a_picture() -> None:
    for info in toolbox.list_architectures():
        if info.provider in installed.providers():
            text = (REFERENCE / "architectures" / f"{info.name}.md").read_text(encoding="utf-8")
            assert text.startswith(f"# {info.name}\n")
            assert (REFERENCE / "architectures" / f"{info.name}.svg").exists()


def test_every_hook_has_its_place() -> None:
    text = (REFERENCE / "hooks.md").read_text(encoding="utf-8")
    names = [name for name in vars(hookspecs) if name.startswith("toolbox_")]
    assert len(names) >= 5
    for name in names:
        assert f"(#toolbox.hookspecs.{name})" in text
        assert f"::: toolbox.hookspecs.{name}\n" in text


def test_every_kind_has_its_contract() -> None:
    text = (REFERENCE / "contracts.md").read_text(encoding="utf-8")
    assert set(contracts.RECORDS) == set(HOOK_RULES)
    for kind in (*KINDS, *HOOK_RULES):
        assert re.search(rf"^\| \[?{kind}[\]\s].* \|$", text, re.M), kind
    for rule in (*RULES, *all_rules()):
        assert f"| `{rule.name}` |" in text


def test_every_command_and_option_has_its_place() -> None:
    text = (REFERENCE / "command-line.md").read_text(encoding="utf-8")
    found = commands.commands()
    assert {("restore",), ("train",), ("eval",)} <= set(found)
    for words in found:
        section = text.split(f"## toolbox {' '.join(words)}\n")[1].split("\n## ")[0]
        command = typer.main.get_command(app)
        for word in words:
            command = command.commands[word]  # type: ignore[attr-defined]  # it is a group
        for option in command.params:
            assert all(name in section for name in option.opts if name.startswith("-"))


@pytest.mark.parametrize("kind", [kind for kind in installed.other_registries() if installed.records(kind)])
def test_every_other_record_has_its_place(kind: str) -> None:
    text = (REFERENCE / f"{kind.replace('_', '-')}.md").read_text(encoding="utf-8")
    for record in installed.records(kind):
        assert f"{{#{record.name}}}" in text


def test_a_difference_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "REFERENCE", tmp_path)
    same, other, gone, by_hand = (tmp_path / name for name in ("same.md", "other.md", "gone.md", "by-hand.md"))
    same.write_text("as it is", encoding="utf-8")
    other.write_text("as it was", encoding="utf-8")
    gone.write_text(markdown.page("gone"), encoding="utf-8")
    by_hand.write_text("# mine", encoding="utf-8")
    files = {same: "as it is", other: "as it is", tmp_path / "new.md": "as it is"}
    assert generate.differences(files) == {
        other: "is not what is generated",
        tmp_path / "new.md": "is missing",
        gone: "is of something that is gone",
    }


def test_a_drawing_has_all_of_a_spec() -> None:
    spec = {"name": "outer", "size": 3, "part": {"name": "inner <&>", "nothing": None, "list": [1, 2]}}
    box = figures.box_of("encoder", spec, {"inner <&>": "decoder"})
    svg = figures.component(box, ["in"], ["out"], "what it is")
    for text in ("outer", "size: 3", "part", "inner &lt;&amp;&gt;", "list: 1, 2", "<title>what it is</title>"):
        assert text in svg
    assert "nothing" not in svg


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (999, "999"), (1000, "1 k"), (999_700, "1 M"), (22_490_000_000, "22.5 G")]
)
def test_numbers_are_short(value: float, shown: str) -> None:
    assert markdown.number(value) == shown


def test_cells_keep_a_table_whole() -> None:
    assert markdown.table(("a", "b"), [("x | y", "two\nlines")]).splitlines()[-1] == r"| x \| y | two lines |"
