"""Progress bars on the terminal, the same for all commands."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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

    console = Console(stderr=True)
    columns = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=20)]
    with Progress(
        *columns,
        *([TimeRemainingColumn()] if time_left else []),
        console=console,
        transient=True,
        disable=hidden or not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # else output for a pipe would go to the terminal
    ) as bar:
        yield bar


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
