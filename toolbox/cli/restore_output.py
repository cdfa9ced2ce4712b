"""The output of ``toolbox restore``: each file as it is done, a summary, and failures last."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toolbox.files import printable
from toolbox.progress import ItemBars, print_above, progress_bar

if TYPE_CHECKING:
    from rich.progress import Progress

    from toolbox.images.files.page import Page
    from toolbox.images.restore_file import FileReport
    from toolbox.images.restore_files import FilesRun, Outcome


class RestoreOutput:
    """The output of one run.

    Args:
        others: how many files in the folders are no pictures.
        single: exactly one file was named, so there is no summary.
        as_json: print one JSON document at the end, and no sentences.
        dry_run: nothing is written, so sentences describe the plan.
        to_stderr: standard output is for the picture.
    """

    def __init__(self, others: int, *, single: bool, as_json: bool, dry_run: bool, to_stderr: bool) -> None:
        self.others, self.single, self.as_json = others, single, as_json
        self.dry_run, self.to_stderr = dry_run, to_stderr
        self.status = "planned" if dry_run else "restored"
        self.started = time.monotonic()
        self._bar: Progress | None = None  # while files are restored
        self._counts = {True: 0, False: 0}  # files of a watch that were restored, and that failed

    def begin_watch(self, folders: Iterable[Path]) -> None:
        """Say what is watched."""
        names = ", ".join(printable(folder) for folder in folders)
        typer.echo(f"watching {names} (Ctrl-C stops it)", err=True)

    def tell(self, run: FilesRun) -> None:
        """Run, and print the outcome of each file that is not up to date, with ``as_json`` as one line."""
        try:
            with progress_bar() as self._bar:
                bars = ItemBars(self._bar, len(run.sources), "")
                for outcome in run.run(bars.update):
                    bars.finish(outcome.source)
                    if outcome.skipped is None:
                        self._tell_outcome(outcome)
        finally:
            self._bar = None

    def _tell_outcome(self, outcome: Outcome) -> None:
        self._counts[outcome.error is None] += 1
        if self.as_json:
            self._print(json.dumps(self._record(outcome)))
        elif outcome.error is not None:
            self._print(f"error: {printable(outcome.error)}", err=True)
        else:
            self._print_outcome(outcome)

    def end_watch(self) -> None:
        """Say what was done.

        Raises:
            typer.Exit: a file failed.
        """
        typer.echo(f"stopped: {self._counts[True]} files are {self.status}, {self._counts[False]} failed", err=True)
        if self._counts[False]:
            raise typer.Exit(1)

    def follow(self, run: FilesRun, watch: Callable[[Page, Page], None]) -> list[Outcome]:
        """Run under a progress bar, and print the outcome for each file.

        Raises:
            typer.Exit: the user pressed Ctrl-C; the files that are done are printed.
        """
        outcomes: list[Outcome] = []
        try:
            with progress_bar(hidden=run.only_tell) as self._bar:
                bars = ItemBars(self._bar, len(run.sources), "")
                for outcome in run.run(bars.update, watch):
                    bars.finish(outcome.source)
                    outcomes.append(outcome)
                    self._print_outcome(outcome)
        except KeyboardInterrupt:
            if self.as_json:
                self._print(json.dumps(self._summary([self._record(outcome) for outcome in outcomes])))
            typer.echo(f"stopped: {len(outcomes)} of {len(run.sources)} files are done", err=True)
            raise typer.Exit(130) from None
        finally:
            self._bar = None
        return outcomes

    def finish(self, outcomes: list[Outcome], compare: Path | None) -> None:
        """Print a summary and the failures.

        Raises:
            ToolboxError: the only file failed.
            typer.Exit: one of several files failed.
        """
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        if self.single and failed and failed[0].error is not None:
            raise failed[0].error
        if self.as_json:
            files = [self._record(outcome) for outcome in outcomes]
            comparison = {"compare": None if compare is None else printable(compare)}
            self._print(json.dumps(files[0] | comparison if self.single else self._summary(files)))
        elif not self.single:
            self._print(self._table(outcomes))
        elif compare is not None:
            self._print(f"wrote {printable(compare)} (before | after)")
        for outcome in failed:
            if "--debug" in sys.argv and outcome.error is not None:
                traceback.print_exception(outcome.error)
            typer.echo(f"error: {printable(outcome.error)}", err=True)
        if failed:
            raise typer.Exit(1)

    def _print(self, text: str, *, err: bool = False) -> None:
        if self._bar is None:
            typer.echo(text, err=err or self.to_stderr)
        else:
            print_above(self._bar, text, err=err or self.to_stderr)

    def _print_outcome(self, outcome: Outcome) -> None:
        name, report = str(outcome.source), outcome.report
        if report is None:
            if outcome.skipped is not None and not self.as_json:
                self._print(f"skipped {name}: {outcome.skipped} exists")
            return
        for note in report.notes:
            self._print(f"note: {name}: {note}", err=True)
        if self.as_json:
            return
        if report.seen is not None:
            self._print(f"{name}: {report.seen}")
        if not self.dry_run:
            self._print(_result(report))
        elif self.single:
            self._print(_forecast(report))
        else:
            self._print(f"{name}: {_forecast(report)}")

    def _record(self, outcome: Outcome) -> dict[str, Any]:
        record: dict[str, Any] = {"input": "-" if outcome.source.path is None else str(outcome.source)}
        if outcome.report is None:
            status = {"status": "skipped", "output": outcome.skipped} if outcome.error is None else {"status": "failed"}
            return record | status | ({} if outcome.error is None else {"error": printable(outcome.error)})
        report = {
            key: list(value) if isinstance(value, tuple) else value for key, value in vars(outcome.report).items()
        }
        return record | {"status": self.status} | report

    def _summary(self, files: list[dict[str, Any]]) -> dict[str, Any]:
        statuses = [file["status"] for file in files]
        counts = {status: statuses.count(status) for status in (self.status, "skipped", "failed")}
        counts["no_pictures"] = self.others
        return {"files": files} | counts | {"seconds": round(time.monotonic() - self.started, 3)}

    def _table(self, outcomes: list[Outcome]) -> str:
        from toolbox.images.jobs import others_in_words

        reports = [outcome.report for outcome in outcomes if outcome.report is not None]
        failed = sum(outcome.error is not None for outcome in outcomes)
        pixels = sum(report.output_size[0] * report.output_size[1] * report.pages for report in reports)
        rows = (
            ("files", len(outcomes), ""),
            (self.status, len(reports), f"{pixels / 1e6:.1f} megapixels in {time.monotonic() - self.started:.0f} s"),
            ("skipped", len(outcomes) - len(reports) - failed, ""),
            ("failed", failed, ""),
        )
        lines = [f"{name:<10}{number:>6}  {more}".rstrip() for name, number, more in rows]
        if self.others:
            lines.append(others_in_words(self.others))
        return "\n".join(lines)


def _result(report: FileReport) -> str:
    pages = f", {report.pages} pages" if report.pages > 1 else ""
    written = "standard output" if report.output == "-" else report.output
    verb = "replaced" if report.replaced else "wrote"
    return f"{verb} {written} ({_sizes(report)}{pages}, {printable(report.model)}, {report.seconds:.1f} s)"


def _forecast(report: FileReport) -> str:
    tiles = f"{report.tiles} tile{'s' if report.tiles > 1 else ''}{'' if report.exact else ', approximate'}"
    pages = f" on {report.pages} pages" if report.pages > 1 else ""
    memory, model = (report.memory or 0) / 1e9, printable(report.model)
    if not report.tiles:
        return f"{_sizes(report)}, {model}{pages}"
    return f"{_sizes(report)} with {model}: about {memory:.1f} GB in all, {report.seconds:.0f} s, in {tiles}{pages}"


def _sizes(report: FileReport) -> str:
    return "{}x{} to {}x{}".format(*report.input_size, *report.output_size)
