"""``toolbox plugin``: commands for authors of plugins."""

from __future__ import annotations

import keyword
import re
import shutil
import tempfile
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

TEMPLATE = "toolbox-plugin-minimal"  # the example from which a new plugin is made

app = typer.Typer(help="Create a plugin of your own.", no_args_is_help=True)


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the package, such as toolbox-plugin-swin.")],
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="FOLDER", help="Folder to create. Default: ./NAME.")
    ] = None,
) -> None:
    """Create a package with one encoder.

    You can install and test it as it is. The encoder has the package's name without `toolbox-plugin-`; write your
    own network in its module.
    """
    module = name.replace("-", "_")
    component = name.removeprefix("toolbox-plugin-")
    target = folder or Path(name)
    _check(name, module, component, target)
    renamed = {
        TEMPLATE: name,
        TEMPLATE.replace("-", "_"): module,
        "Minimal": "".join(word.capitalize() for word in component.split("-")),
        "minimal": component,
    }
    with tempfile.TemporaryDirectory(prefix=".plugin.", dir=target.absolute().parent) as partial:
        for source in sorted(template().iterdir()):
            if source.is_file():
                written = Path(partial, "new", _renamed(source.name, renamed))
                written.parent.mkdir(exist_ok=True)
                written.write_text(_renamed(source.read_text(encoding="utf-8"), renamed), encoding="utf-8")
        shutil.move(Path(partial, "new"), target)
    typer.echo(f"wrote {target}: pip install -e '{target}[test]', then pytest {target}")
    typer.echo(f"write your network in {target / f'{module}.py'}; specs use it as `encoder: {component}`")


def template() -> Path:
    """The example package: inside the installed toolbox, or in a checkout's examples."""
    installed = Path(str(resources.files("toolbox"))) / TEMPLATE
    return installed if installed.exists() else installed.parent.parent / "examples" / TEMPLATE


def _check(name: str, module: str, component: str, target: Path) -> None:
    from toolbox.discovery import installed
    from toolbox.errors import PluginError

    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or keyword.iskeyword(module) or not component:
        raise PluginError(f"got the name {name!r}, expected lower-case words joined by dashes, such as my-plugin")
    if target.exists():
        raise PluginError(f"{target} exists; choose another name or --folder")
    if not target.absolute().parent.is_dir():
        raise PluginError(f"{target}: the folder {target.absolute().parent} does not exist; create it first")
    if find_spec(module) is not None:
        raise PluginError(f"got the name {name!r}, but a module {module} is already installed; choose another name")
    for kind in ("encoder", "recurrent-wrapper"):
        if component in installed().components[kind]:
            holder = installed().components[kind][component].provider
            raise PluginError(f"got the name {name!r}, but {holder} has the {kind} {component!r}; choose another name")


def _renamed(text: str, names: dict[str, str]) -> str:
    """The text with every name of the template replaced, longest names first and in one pass."""
    return re.sub("|".join(map(re.escape, names)), lambda found: names[found[0]], text)
