"""Run a page: its blocks one after the other, in one folder and one namespace, as a reader would.

- ``python`` runs, and ``sh`` runs line by line. A ``text`` block right behind them is their output, apart from
  whitespace; ``...`` stands for anything.
- A block with a title, or whose first line is a comment that begins with a file's name, is written to that file.
- Any other ``yaml`` block is a spec, or part of one, and must be valid.
- A command or Python may fail only where the page shows its error.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import tomllib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from toolbox import discovery
from toolbox.cli import main
from toolbox.config import validated
from toolbox.errors import ToolboxError
from toolbox.resolve import resolve

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "examples" / "photos"
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)(?P<rest>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S)
TITLE = re.compile(r'title="([^"]+)"')
NAMED = re.compile(r"# ([\w./-]+\.\w+)\b")
COLUMNS = "100"  # width of the terminal for commands


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, with the output behind it."""

    language: str
    text: str
    line: int
    file: str | None = None  # the file that it is written to
    shown: str | None = None

    def __str__(self) -> str:
        return f"{self.language} block at line {self.line}"


def blocks(text: str) -> list[Block]:
    """Every block of a page that is run, written or checked."""
    found: list[Block] = []
    end = -1  # end of the block before
    for match in FENCE.finditer(text):
        body = textwrap.dedent(match["text"])
        if match["language"] == "text":
            if end >= 0 and found[-1].file is None and not text[end : match.start()].strip():
                found[-1] = Block(found[-1].language, found[-1].text, found[-1].line, None, body)
            end = -1
            continue
        title = TITLE.search(match["rest"]) or NAMED.match(body)
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(match["language"], body, line, title[1] if title else None))
        end = match.end()
    return found


@dataclass
class PageRunner:
    """Runs a page in the current folder, with the names that its Python defined and the packages it installed."""

    folder: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})
    installed: list[Path] = field(default_factory=list)

    def run(self, block: Block) -> None:
        """Run, write or check one block.

        Raises:
            AssertionError: it fails, or its output differs from the page.
        """
        if block.file is not None:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            _compare(block, self._python(block))
        elif block.language == "sh":
            _compare(block, "".join(self._line(line, block) for line in _lines(block.text)))
        elif block.language == "yaml":
            check_yaml(block.text)

    def _python(self, block: Block) -> str:
        printed = io.StringIO()
        # Lines are counted as in the page, for tracebacks.
        code = compile("\n" * block.line + block.text, str(block), "exec")
        try:
            with contextlib.redirect_stdout(printed):
                exec(code, self.names)  # noqa: S102  # our own pages
        except ToolboxError as error:
            if "Error: " not in (block.shown or ""):
                raise
            printed.write(f"{type(error).__name__}: {error}\n")
        return printed.getvalue()

    def _line(self, line: str, block: Block) -> str:
        """The output of a command."""
        words = [each for word in shlex.split(line) for each in _expanded(word)]
        target = None
        if ">" in words:
            *words, _, target = words
        if words[0] == "toolbox" and not {"|", "<"} & set(words):
            code, printed, errors = toolbox_command(words[1:])
            assert code == 0 or "error:" in (block.shown or ""), f"{line}\n{errors}"
            printed += "" if target else errors
        elif words[:2] == ["pip", "install"]:
            printed = self._install(words[2:])
        elif words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M), line
            printed = ""  # not run, because it would set up everything again
        elif words[0] == "cd":
            os.chdir(words[1])
            printed = ""
        else:
            printed = self._shell(line)
        if target is not None:
            Path(target).write_text(printed, encoding="utf-8")
            return ""
        return printed

    def _install(self, words: list[str]) -> str:
        """Do the work of pip for a folder's pyproject.toml: make its entry points and modules available."""
        project = words[-1].partition("[")[0]
        own = (Path(project) if (Path(project) / "pyproject.toml").exists() else ROOT) / "pyproject.toml"
        data = tomllib.loads(own.read_text(encoding="utf-8"))["project"]
        for extra in re.findall(r"\[([\w,]+)\]", words[-1]):
            assert set(extra.split(",")) <= data["optional-dependencies"].keys(), words
        if own.parent == ROOT:
            return ""  # is installed already
        site = self.folder / "site-packages"
        information = site / f"{data['name'].replace('-', '_')}-{data['version']}.dist-info"
        information.mkdir(parents=True, exist_ok=True)
        metadata = f"Metadata-Version: 2.1\nName: {data['name']}\nVersion: {data['version']}\n"
        (information / "METADATA").write_text(metadata, encoding="utf-8")
        sections = [
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
            for group, entries in data.get("entry-points", {}).items()
        ]
        (information / "entry_points.txt").write_text("".join(sections), encoding="utf-8")
        self.installed = [site, own.parent.resolve()]
        sys.path[:0] = map(str, self.installed)
        discovery.installed.cache_clear()
        return ""

    def _shell(self, line: str) -> str:
        environment = os.environ | {
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),  # our python and toolbox
            "PYTHONPATH": os.pathsep.join(map(str, self.installed)),
            "COLUMNS": COLUMNS,
        }
        done = subprocess.run(line, shell=True, capture_output=True, text=True, env=environment, check=False)  # noqa: S602  # our own pages
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def clear(self) -> None:
        """Forget the installed packages."""
        if not self.installed:
            return
        for path in map(str, self.installed):
            sys.path.remove(path)
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(self.folder)):
                del sys.modules[name]
        discovery.installed.cache_clear()


@contextlib.contextmanager
def page_runner(folder: Path) -> Iterator[PageRunner]:
    """A folder to run a page in, with the example photographs in ``photos``; afterwards everything is as before."""
    before = Path.cwd()
    os.chdir(folder)
    (folder / "photos").mkdir()
    for photo in PHOTOS.glob("*.png"):
        shutil.copy(photo, folder / "photos")
    runner = PageRunner(folder)
    try:
        yield runner
    finally:
        runner.clear()
        os.chdir(before)


def make_pictures(docs: Path) -> Iterator[Path]:
    """Run every page that writes WebP photographs, and put those into docs/pictures."""
    for page in sorted(docs.rglob("*.md")):
        found = blocks(page.read_text(encoding="utf-8"))
        if any(".webp" in block.text for block in found):
            with tempfile.TemporaryDirectory() as folder, page_runner(Path(folder).resolve()) as runner:
                for block in found:
                    runner.run(block)
                for picture in sorted(runner.folder.glob("*.webp")):
                    yield Path(shutil.copy(picture, docs / "pictures"))


def toolbox_command(arguments: list[str]) -> tuple[int, str, str]:
    """Run ``toolbox ARGUMENTS`` in this process; return its exit code, output and standard error."""
    printed, errors = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(errors),
        warnings.catch_warnings(),
        mock.patch.object(sys, "argv", ["toolbox", *arguments]),
        mock.patch.object(sys.modules["__main__"], "__package__", ""),  # else usage names what runs us
        mock.patch.dict(os.environ, COLUMNS=COLUMNS),
    ):
        warnings.simplefilter("always")
        try:
            main()
        except SystemExit as end:
            code = end.code
    return code if isinstance(code, int) else int(code is not None), printed.getvalue(), errors.getvalue()


def check_yaml(text: str) -> None:
    """Validate the spec of an architecture or of a component; other YAML must only be valid YAML."""
    data = yaml.safe_load(text)
    if isinstance(data, Mapping) and {"encoder", "decoder", "channels"} <= data.keys():
        resolve(data)
    elif isinstance(data, Mapping) and isinstance(data.get("name"), str):
        kinds = [kind for kind, registry in discovery.installed().components.items() if data["name"] in registry]
        info = discovery.installed().component(tuple(kinds), data["name"])
        validated(info.config, {key: value for key, value in data.items() if key != "name"}, discovery.installed())


def _lines(text: str) -> list[str]:
    """The commands of a block, without their comments; a backslash goes on in the next line."""
    lines = [line.split("  #")[0].strip() for line in text.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _expanded(word: str) -> list[str]:
    """The files that match a word with a star, as in a shell."""
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


def _compare(block: Block, printed: str) -> None:
    if block.shown is None:
        return
    literal = [re.escape(" ".join(part.split())) for part in re.split(r"\.\.\.(?!\.)", block.shown)]
    same = re.fullmatch(".*".join(literal), " ".join(printed.split()), re.S)
    assert same, f"{block}: the page shows\n{block.shown}\nbut it prints\n{printed}"
