"""Progress bars on the terminal, the same for all commands."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

TIME = 10  # columns of the estimate, with the spaces around it

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@contextmanager
def progress_bar(*, hidden: bool = False, time_left: bool = True) -> Iterator[Progress]:
    """Bars on standard error that vanish when the work ends. Without a terminal there are none.

    Args:
        hidden: never show a bar.
        time_left: show an estimate behind each bar.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    console = Console(stderr=True)
    bar_width = max(4, min(20, console.width // 3))
    words = Column(no_wrap=True, max_width=max(4, console.width - bar_width - TIME))  # a bar is one line
    columns = [TextColumn("{task.description}", markup=False, table_column=words), BarColumn(bar_width=bar_width)]
    with Progress(
        *columns,
        *([TimeRemainingColumn()] if time_left else []),
        console=console,
        transient=True,
        disable=hidden or not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # else output for a pipe would go to the terminal
    ) as bar:
        yield bar


def print_above(bar: Progress, text: str, *, err: bool = False) -> None:
    """Print a line to the standard output or error, above the bars if both are on the terminal.

    The terminal wraps a line that is longer than it is wide, so that it can be copied whole.
    """
    import typer

    stream = sys.stderr if err else sys.stdout
    if bar.disable or not stream.isatty():
        typer.echo(text, err=err)
    else:
        bar.console.print(text, soft_wrap=True, markup=False, highlight=False, emoji=False)


class ItemBars:
    """One bar for the whole run, if it has several items, and one for each item in progress.

    Args:
        bar: where they are drawn.
        total: how many items there are.
        words: the text behind the name of an item, and behind the count.
    """

    def __init__(self, bar: Progress, total: int, words: str) -> None:
        self._bar, self._total, self._words = bar, total, words
        self._whole = bar.add_task(f"0 of {total} {words}", total=total, visible=total > 1)
        self._tasks: dict[Hashable, TaskID] = {}
        self._done: dict[Hashable, float] = {}

    def update(self, item: Hashable, part: float) -> None:
        """Report how much of an item is done, from 0 to 1."""
        if item not in self._tasks:
            self._tasks[item] = self._bar.add_task(f"{item} {self._words}", total=1.0)
        self._done[item] = part
        self._bar.update(self._tasks[item], completed=part)
        self._bar.update(self._whole, completed=sum(self._done.values()))

    def finish(self, item: Hashable) -> None:
        """Report that an item is done or has failed."""
        self._done[item] = 1.0
        if item in self._tasks:
            self._bar.remove_task(self._tasks.pop(item))
        count = sum(part == 1.0 for part in self._done.values())
        words = f"{count} of {self._total} {self._words}"
        self._bar.update(self._whole, completed=sum(self._done.values()), description=words)
