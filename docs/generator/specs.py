"""The keys of a spec, a catalog and a recipe."""

from __future__ import annotations

from collections.abc import Iterator

from generator.markdown import page
from generator.settings import settings
from toolbox.nonlocal_blocks.neighborhood import TopK, Whole, Window
from toolbox.spec import ArchitectureSpec, Condition, Normalization
from toolbox.training.recipe import Recipe, StartWeights
from toolbox.training.settings import Budget, Clip, Optimizer, ScaleRange, Schedule, Validation


def pages() -> Iterator[tuple[str, str]]:
    """(path, text) of every page."""
    yield (
        "reference/spec.md",
        page(
            "Specs and catalogs",
            "A network is data: a mapping, in YAML or in Python. Toolbox validates the whole mapping before any tensor "
            "exists. [Compose a hybrid](../tutorials/compose.md) shows how to write one.",
            "## Architecture",
            settings(ArchitectureSpec, "components"),
            "Write a component as its name, or as a mapping with its `name` and its settings. "
            "[Its page](components/index.md) lists the settings.",
            "## Normalization",
            "The network sees (image − mean) / std, and its output is mapped back.",
            settings(Normalization),
            "## Condition",
            "A condition is an input of a network besides the image. You give it by its name: "
            "`restorer(image, sigma=25)`, or `toolbox restore --sigma 25`. In training the degradations provide it, "
            "and in scoring the protocols.",
            settings(Condition),
            "## Neighborhood",
            "The `kind` says which pixels a [non-local block](components/nonlocal-block/index.md) sees.",
            *(f"### {kind}\n\n{_first(config.__doc__)}\n\n{settings(config)}" for kind, config in _NEIGHBORHOODS),
            "## A catalog",
            "A catalog is a YAML file that maps names to architectures. Besides the keys above, an entry may have "
            "`weights`, a file relative to the catalog, and `url`, the address of its paper. All commands read a "
            "catalog by `--catalog`. `toolbox schema > schema.json` writes a JSON Schema, by which your editor can "
            "complete the file. Toolbox's own catalog is `registry.yaml`; [Architectures](architectures/index.md) "
            "shows its entries.",
        ),
    )
    yield (
        "reference/recipe.md",
        page(
            "Recipes",
            "A recipe fully determines a run of `toolbox train`. Change any key on the command line with `KEY=VALUE`, "
            "such as `optimizer.lr=0.0005`. [Train it](../tutorials/train.md) shows how to write a recipe.",
            settings(Recipe, "components"),
            *(f"## {config.__name__}\n\n{_first(config.__doc__)}\n\n{settings(config)}" for config in _RECIPE),
        ),
    )


_NEIGHBORHOODS = (("window", Window), ("top-k", TopK), ("whole", Whole))
_RECIPE = (StartWeights, ScaleRange, Optimizer, Schedule, Clip, Budget, Validation)


def _first(docstring: str | None) -> str:
    return (docstring or "").strip().split("\n\n")[0].replace("\n    ", " ")
