"""The worker process: it reads tasks as lines of JSON, and writes progress and outcomes as lines of JSON.

    python -m toolbox.serving.worker SETTINGS

Only this process decodes pictures. The server kills it when it takes too long or too much memory, and starts another.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from toolbox.errors import ToolboxError
from toolbox.files import printable
from toolbox.heap import trim_heap
from toolbox.images.engine.hardware import threads
from toolbox.serving.options import Options
from toolbox.serving.tasks import Tasks, TaskSettings, TooLarge

PAUSE = 0.1  # seconds between two messages of progress


def main() -> None:
    """Serve tasks until standard input ends."""
    settings = json.loads(sys.argv[1])
    say = _speaker(_own_output())
    tasks = Tasks(TaskSettings(**settings["tasks"]))
    with threads(settings["threads"]):
        say({"ready": True})
        lines = _lines()
        while True:
            say(_outcome(tasks, json.loads(lines.get()), say))
            trim_heap()


def _own_output() -> TextIO:
    """Standard output for messages alone: what a library prints goes to standard error."""
    own = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return own


def _speaker(output: TextIO) -> Callable[[dict[str, Any]], None]:
    def say(message: dict[str, Any]) -> None:
        output.write(json.dumps(message) + "\n")
        output.flush()

    return say


def _lines() -> queue.Queue[str]:
    """The lines of standard input. At its end, when the server is gone, the process ends in the midst of its work."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _outcome(tasks: Tasks, task: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The report of a task, or the reason why there is none."""
    spoke = 0.0

    def progress(part: float) -> None:
        nonlocal spoke
        if time.monotonic() - spoke > PAUSE:
            spoke = time.monotonic()
            say({"progress": round(part, 4)})

    try:
        if task["kind"] == "models":
            return {"report": tasks.models()}
        folder, name = Path(task["folder"]), task["name"]
        if task["kind"] == "inspect":
            return {"report": tasks.inspect(folder, name)}
        options = Options.model_validate(task["options"])
        return {"report": tasks.restore(folder, name, options, progress, views=task["views"])}
    except TooLarge as error:
        return {"error": printable(error), "status": 413}
    except ToolboxError as error:
        return {"error": printable(error), "status": 422}


if __name__ == "__main__":
    main()
