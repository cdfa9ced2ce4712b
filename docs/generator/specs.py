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
            "A network is data: a mapping, in YAML or in Python, that is validated whole before any tensor exists. "
            "[How to compose one](../tutorials/compose.md).",
            "## Architecture",
            settings(ArchitectureSpec, "components"),
            "A component is its name, or a mapping with its `name` and its settings, which are on "
            "[its page](components/index.md).",
            "## Normalization",
            "The network sees (image − mean) / std, and what it gives is turned back.",
            settings(Normalization),
            "## Condition",
            "What a network is told beside the image, by its name: `restorer(image, sigma=25)`, or `toolbox restore "
            "--sigma 25`. Degradations tell it in training, and protocols in scoring.",
            settings(Condition),
            "## Neighborhood",
            "Which pixels a [non-local block](components/nonlocal-block/index.md) sees, by `kind`.",
            *(f"### {kind}\n\n{_first(config.__doc__)}\n\n{settings(config)}" for kind, config in _NEIGHBORHOODS),
            "## A catalog",
            "A YAML file that maps names to architectures. Beside the keys above an entry may have `weights`, a file "
            "relative to the catalog. `toolbox schema > schema.json` writes the JSON Schema by which an editor "
            "completes it, and the option `--catalog` of the commands reads it. The toolbox's own is "
            "`registry.yaml`: [its architectures](architectures/index.md).",
        ),
    )
    yield (
        "reference/recipe.md",
        page(
            "Recipes",
            "All that decides what `toolbox train` ends with. On the command line any key is changed by `KEY=VALUE`, "
            "such as `optimizer.lr=0.0005`. [How to train](../tutorials/train.md).",
            settings(Recipe, "components"),
            *(f"## {config.__name__}\n\n{_first(config.__doc__)}\n\n{settings(config)}" for config in _RECIPE),
        ),
    )


_NEIGHBORHOODS = (("window", Window), ("top-k", TopK), ("whole", Whole))
_RECIPE = (StartWeights, ScaleRange, Optimizer, Schedule, Clip, Budget, Validation)


def _first(docstring: str | None) -> str:
    return (docstring or "").strip().split("\n\n")[0].replace("\n    ", " ")
