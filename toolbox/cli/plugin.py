"""``toolbox plugin``: commands for authors of plugins."""

from __future__ import annotations

import keyword
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

TEMPLATE = "toolbox-plugin-minimal"  # the example from which a new plugin is made
MODULE = TEMPLATE.replace("-", "_")
MODULES = "plugin-kinds"  # the folder with the modules of other kinds than the example's


@dataclass(frozen=True)
class Kind:
    """A kind of plugin that can be written."""

    article: str  # its name with the article
    use: str  # how to use it by the name `minimal`
    registries: tuple[str, ...]  # kinds of components, or one field of Registries, whose names it must not repeat
    is_component: bool = True


EXAMPLE = Kind("an encoder", "any spec can name `encoder: minimal`", ("encoder", "recurrent-wrapper"))
DECODER = Kind("a decoder", "any spec can name `decoder: minimal`", ("decoder",))
KINDS: Mapping[str, Kind] = {
    "encoder": EXAMPLE,
    "decoder": DECODER,
    "implicit-decoder": Kind("an implicit decoder", DECODER.use, DECODER.registries),
    "nonlocal-block": Kind("a non-local block", "any spec can name `nonlocal: minimal`", ("nonlocal-block",)),
    "transition": Kind("a transition", "any spec can name `transition: minimal`", ("transition",)),
    "degradation": Kind("a degradation", "any recipe can name `degradation: minimal`", ("degradations",), False),
    "protocol": Kind("a protocol", "`toolbox eval --protocol minimal` scores by it", ("protocols",), False),
    "loss": Kind("a loss", "any recipe can name `loss: minimal`", ("losses",), False),
    "dataset": Kind("a dataset", "any recipe can name `data: {name: minimal}`", ("datasets",), False),
    "converter": Kind("a converter", "`toolbox convert` reads its checkpoints", ("converters",), False),
}

app = typer.Typer(help="Create a plugin of your own.", no_args_is_help=True)


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the package, such as toolbox-plugin-swin.")],
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help=f"What the plugin brings: {', '.join(KINDS)}.")
    ] = "encoder",
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="FOLDER", help="Folder to create. Default: ./NAME.")
    ] = None,
) -> None:
    """Create a package with one encoder, or one part of another kind.

    You can install and test it as it is. The part has the package's name without `toolbox-plugin-`; write your own in
    its module.
    """
    module = name.replace("-", "_")
    own = name.removeprefix("toolbox-plugin-")
    target = folder or Path(name)
    _check(name, kind, module, own, target)
    use = KINDS[kind].use
    renamed = {
        EXAMPLE.article.capitalize(): KINDS[kind].article.capitalize(),
        EXAMPLE.use: use.replace("minimal", own),
        TEMPLATE: name,
        MODULE: module,
        "Minimal": "".join(word.capitalize() for word in own.split("-")),
        "minimal": own,
    }
    with tempfile.TemporaryDirectory(prefix=".plugin.", dir=target.absolute().parent) as partial:
        for file, text in _files(kind):
            written = Path(partial, "new", _renamed(file, renamed))
            written.parent.mkdir(exist_ok=True)
            written.write_text(_renamed(text, renamed), encoding="utf-8")
        shutil.move(Path(partial, "new"), target)
    typer.echo(f"wrote {target}: pip install -e '{target}[test]', then pytest {target}")
    typer.echo(f"write {KINDS[kind].article} of your own in {target / f'{module}.py'}; {_renamed(use, renamed)}")


def _files(kind: str) -> Iterator[tuple[str, str]]:
    """The files of the template for a kind: (name, text). Kinds differ in the module, and some have a test more."""
    module = _shipped(MODULES) / f"{kind.replace('-', '_')}.py"
    for source in sorted(each for each in _shipped(TEMPLATE).iterdir() if each.is_file()):
        path = module if source.stem == MODULE and module.exists() else source
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        if not KINDS[kind].is_component:
            lines = [line for line in lines if not line.startswith('entry-points."toolbox.components"')]
        yield source.name, "".join(lines)
    test = module.with_name(f"test_{module.name}")
    if test.exists():
        yield test.name, test.read_text(encoding="utf-8")


def _shipped(name: str) -> Path:
    """A folder of the examples: inside the installed toolbox, or in a checkout."""
    installed = Path(str(resources.files("toolbox"))) / name
    return installed if installed.exists() else installed.parent.parent / "examples" / name


def _check(name: str, kind: str, module: str, own: str, target: Path) -> None:
    from toolbox.close_names import did_you_mean
    from toolbox.discovery import installed
    from toolbox.errors import PluginError

    if kind not in KINDS:
        remedy = did_you_mean(kind, KINDS, most=1) or f"expected one of {', '.join(KINDS)}"
        raise PluginError(f"got the kind {kind!r}; {remedy}")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or keyword.iskeyword(module) or not own:
        raise PluginError(f"got the name {name!r}, expected lower-case words joined by dashes, such as my-plugin")
    if target.exists():
        raise PluginError(f"{target} exists; choose another name or --folder")
    if not target.absolute().parent.is_dir():
        raise PluginError(f"{target}: the folder {target.absolute().parent} does not exist; create it first")
    if find_spec(module) is not None:
        raise PluginError(f"got the name {name!r}, but a module {module} is already installed; choose another name")
    found = installed()
    registries: dict[str, Any] = dict(found.components) | vars(found)
    for registry in (registries[each] for each in KINDS[kind].registries):
        if own in registry:
            holder = registry[own].provider
            raise PluginError(
                f"got the name {name!r}, but {holder} has the {registry.kind} {own!r}; choose another name"
            )


def _renamed(text: str, names: dict[str, str]) -> str:
    """The text with every name of the template replaced, longest names first and in one pass."""
    longest_first = sorted(names, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda found: names[found[0]], text)
