"""Progress bars: on a terminal, on the standard error, and gone in the end."""

from __future__ import annotations

import io
import re
import sys

import pytest

from toolbox.progress import ItemBars, print_above, progress_bar


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


@pytest.mark.parametrize("width", [16, 25, 40, 80])
def test_a_bar_is_one_line_on_a_terminal_of_any_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = a_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "screen")
    with progress_bar() as bar:
        bars = ItemBars(bar, 2, "")
        bars.update("holidays/a-photograph-with-a-long-name.jpg", 0.5)
        bars.update("b.png", 0.5)
        terminal.truncate(0)
        bar.refresh()
        drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue()).replace("\r", "").replace("\0", "")
    lines = drawn.split("\n")
    assert [line.split()[0][0] for line in lines] == ["0", "h", "b"]
    assert all(len(line) <= width for line in lines)
    assert all("━" in line for line in lines)


@pytest.mark.parametrize("err", [False, True])
def test_a_line_above_the_bars_is_whole(err: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = a_terminal(monkeypatch)
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "30")
    sentence = "wrote out/[a] photograph with a long name.png (4000x3000 to 4000x3000, photo, 1.0 s)"
    with progress_bar() as bar:
        ItemBars(bar, 2, "").update("a.png", 0.5)
        print_above(bar, sentence, err=err)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    assert f"\r{sentence}\n" in plain


def test_a_line_for_a_pipe_goes_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = a_terminal(monkeypatch)
    with progress_bar() as bar:
        print_above(bar, "wrote out.png")
    assert capsys.readouterr().out == "wrote out.png\n"
    assert "wrote" not in terminal.getvalue()
