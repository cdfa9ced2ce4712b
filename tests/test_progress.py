"""Progress bars: on a terminal, on the standard error, and gone in the end."""

from __future__ import annotations

import io
import sys

import pytest

from toolbox.progress import ItemBars, progress_bar


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """The standard error, as a terminal; pytest sets its own again after fixtures, so this is called in a test."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return stream


def test_items_are_drawn_with_how_many_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = a_terminal(monkeypatch)
    with progress_bar() as bar:
        bars = ItemBars(bar, 2, "with bicubic")
        bars.update("a.png", 0.5)
        assert [task.description for task in bar.tasks] == ["0 of 2 with bicubic", "a.png with bicubic"]
        assert [task.completed for task in bar.tasks] == [0.5, 0.5]
        bars.finish("a.png")
        assert [(task.description, task.completed) for task in bar.tasks] == [("1 of 2 with bicubic", 1.0)]
        bars.finish("b.png")  # one that was never begun, as it failed
        assert bar.tasks[0].completed == 2.0
        bar.refresh()
    assert "2 of 2 with bicubic" in terminal.getvalue()


def test_one_item_needs_no_bar_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    a_terminal(monkeypatch)
    with progress_bar() as bar:
        ItemBars(bar, 1, "with bicubic").update("a.png", 0.25)
        assert [task.visible for task in bar.tasks] == [False, True]


def test_nothing_is_drawn_where_it_is_hidden_or_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = a_terminal(monkeypatch)
    with progress_bar(hidden=True) as bar:
        ItemBars(bar, 2, "").update("a.png", 0.5)
    assert terminal.getvalue() == ""
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with progress_bar() as bar:
        ItemBars(bar, 2, "").update("a.png", 0.5)
    assert pipe.getvalue() == ""
