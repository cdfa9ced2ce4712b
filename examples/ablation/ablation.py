"""Measure the contribution of each part of NLRN and DIINN, at a size that trains in minutes.

    python examples/ablation/ablation.py --data PHOTOS --gray KEPT_GRAY --color KEPT_COLOR --out FOLDER

Small NLRNs over the neighborhood's size × propagation and over the number of states T, and small
DIINNs over the ablation a–f, each for the same steps on the same patches and from the same three
seeds. A budget in steps makes the results the same on any machine, busy or not. FOLDER gets results.md,
results.csv and results.png. After an interruption the same command goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from toolbox.catalog import read_yaml
from toolbox.config import validated
from toolbox.cost import cost
from toolbox.discovery import installed
from toolbox.evaluation.plots import load_figure
from toolbox.files import written_beside
from toolbox.resolve import merged
from toolbox.restorer import Restorer
from toolbox.training.loop import train
from toolbox.training.recipe import Recipe
from toolbox.training.validation import mean_score

HERE = Path(__file__).parent
PATCHES = (43, 22)  # side and stride; whole pictures are too large for a whole neighborhood
STATES = (1, 2, 4, 8)
NEIGHBORHOODS: Mapping[str, Mapping[str, Any]] = {
    "7": {"kind": "window", "size": 7},
    "15": {"kind": "window", "size": 15},
    "31": {"kind": "window", "size": 31},
    "whole": {"kind": "whole"},
}
DIINN = {
    "a": {"modulation_input": "modulation", "initial_synthesis": True},
    "b": {"modulation_input": "modulation"},
    "c": {"modulation_input": "modulation+content", "initial_synthesis": True},
    "d": {"modulation_input": "modulation+content"},
    "e": {"modulation_input": "synthesis+content", "initial_synthesis": True},
    "f": {"modulation_input": "synthesis+content"},
}


@dataclass(frozen=True)
class Variant:
    """One network of a study: its name, and its changes to the recipe of the study."""

    study: str
    name: str
    recipe: str
    model: Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """The results of a variant, one value for each seed."""

    variant: Variant
    parameters: int
    multiply_adds: float  # per pixel of a training patch
    steps: int
    psnr: list[float]

    @property
    def mean(self) -> float:
        return statistics.mean(self.psnr)

    @property
    def spread(self) -> float:
        """The standard deviation over the seeds."""
        return statistics.stdev(self.psnr) if len(self.psnr) > 1 else 0.0


def variants() -> Iterator[Variant]:
    """Every network to train."""

    def nlrn(study: str, name: str, **encoder: Any) -> Variant:
        return Variant(study, name, "nlrn", {"encoder": encoder})

    yield nlrn("neighborhood", "none", transition={"nonlocal": None})
    for size, neighborhood in NEIGHBORHOODS.items():
        for name, propagation in ((f"{size}, propagated", "accumulate"), (f"{size}, alone", "none")):
            block = {"neighborhood": neighborhood, "propagation": propagation}
            yield nlrn("neighborhood", name, transition={"nonlocal": block})
    for states in STATES:
        yield nlrn("states", f"T = {states}", steps=states)
    for name, decoder in DIINN.items():
        yield Variant("DIINN", name, "diinn", {"decoder": decoder})


def recipe_of(variant: Variant, seed: int, data: Path, scored: Path, steps: int | None) -> Recipe:
    """The recipe of the study with the changes of the variant. NLRNs are scored in patches, as they are trained."""
    changes: dict[str, Any] = {
        "model": variant.model,
        "data": str(data),
        "seed": seed,
        "validation": {"folder": str(scored)},
    }
    if steps is not None:
        changes["budget"] = {"steps": steps}
    path = HERE / f"{variant.recipe}.yaml"
    recipe = validated(Recipe, merged(read_yaml(path), changes), installed(), str(path))
    if variant.recipe != "nlrn" or recipe.validation is None:
        return recipe
    in_patches = replace(recipe.validation.protocol, patches=PATCHES)
    validation = recipe.validation.model_copy(update={"protocol": in_patches})
    return recipe.model_copy(update={"validation": validation})


def run(recipe: Recipe, folder: Path) -> dict[str, Any] | None:
    """Train and score one network, or read its earlier score; None after an interruption."""
    done = folder / "result.json"
    if done.exists():
        return dict(json.loads(done.read_text(encoding="utf-8")))
    folder.mkdir(parents=True, exist_ok=True)
    trained = train(recipe.model_copy(update={"validation": None}), folder, folder.name, resume=True)
    if trained is None or recipe.validation is None:
        return None
    result = {
        "psnr": mean_score(trained.restorer, recipe.validation).value,
        "steps": trained.run.state.progress.step,
        "parameters": sum(parameter.numel() for parameter in trained.restorer.parameters()),
    }
    with written_beside(done) as partial:
        partial.write_text(json.dumps(result), encoding="utf-8")
    trained.run.pictures.remove()
    return result


def work_of(recipe: Recipe) -> float:
    """Multiply-adds of the network per pixel of a degraded patch."""
    with torch.device("meta"):
        network = Restorer(recipe.model).eval()
        patch = torch.empty(1, network.channels, recipe.patch, recipe.patch)
    return cost(lambda: network(patch, scale=recipe.scale.typical)).multiply_adds / recipe.patch**2


def write_tables(results: list[Result], out: Path) -> None:
    """Write results.csv with every run, and results.md with means and spreads."""
    with (out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("study", "variant", "parameters", "multiply_adds", "steps", "seed", "psnr"))
        for result in results:
            facts = (result.parameters, round(result.multiply_adds), result.steps)
            for seed, psnr in enumerate(result.psnr):
                writer.writerow((result.variant.study, result.variant.name, *facts, seed, round(psnr, 3)))
    lines = ["Mean PSNR in dB and its standard deviation over seeds; multiply-adds are per pixel of the input.\n"]
    for study in dict.fromkeys(result.variant.study for result in results):
        lines += [f"\n| {study} | PSNR | parameters | multiply-adds | steps |\n", "|---|--:|--:|--:|--:|\n"]
        lines += [
            f"| {each.variant.name} | {each.mean:.2f} ± {each.spread:.2f} | {each.parameters:,} | "
            f"{each.multiply_adds:,.0f} | {each.steps:,} |\n"
            for each in results
            if each.variant.study == study
        ]
    (out / "results.md").write_text("".join(lines), encoding="utf-8")


def draw_plot(results: list[Result], path: Path) -> None:
    """Draw one panel for each study, with the spread over seeds as bars."""
    studies = list(dict.fromkeys(result.variant.study for result in results))
    figure = load_figure()(figsize=(5 * len(studies), 4), layout="constrained")
    panels = figure.subplots(1, len(studies), squeeze=False)[0]
    for panel, study in zip(panels, studies, strict=True):
        found = [result for result in results if result.variant.study == study]
        lines: dict[str, list[Result]] = {}
        for result in found:
            lines.setdefault(result.variant.name.partition(", ")[2], []).append(result)
        for label, line in lines.items():
            places = [result.variant.name.partition(", ")[0] for result in line]
            means, spreads = [result.mean for result in line], [result.spread for result in line]
            panel.errorbar(places, means, yerr=spreads, marker="o", capsize=4, label=label or None)
        panel.set(title=study, ylabel="PSNR (dB)")
        if any(lines):
            panel.legend()
    with written_beside(path) as partial:
        figure.savefig(partial, format="png", dpi=110)


def main() -> None:
    """Train the missing networks, and write tables and plot anew after each one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures to train on")
    parser.add_argument("--gray", type=Path, required=True, help="folder of pictures to score denoising on")
    parser.add_argument("--color", type=Path, required=True, help="folder of pictures to score enlarging on")
    parser.add_argument("--steps", type=int, help="of training for each network (default: as the recipes say)")
    parser.add_argument("--seeds", type=int, default=3, help="networks of each kind (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="default: %(default)s")
    arguments = parser.parse_args()
    load_figure()  # so that a missing package is reported before hours of training
    results: list[Result] = []
    for variant in variants():
        scored = arguments.gray if variant.recipe == "nlrn" else arguments.color
        runs: list[dict[str, Any]] = []
        for seed in range(arguments.seeds):
            recipe = recipe_of(variant, seed, arguments.data, scored, arguments.steps)
            folder = arguments.out / variant.study / variant.name.replace(", ", "-").replace(" = ", "") / f"seed-{seed}"
            result = run(recipe, folder)
            if result is None:
                print("stopped; the same command goes on")
                return
            runs.append(result)
        psnr = [each["psnr"] for each in runs]
        results.append(Result(variant, runs[0]["parameters"], work_of(recipe), runs[0]["steps"], psnr))
        print(f"{variant.study}, {variant.name}: {results[-1].mean:.2f} ± {results[-1].spread:.2f} dB", flush=True)
        write_tables(results, arguments.out)
        draw_plot(results, arguments.out / "results.png")


if __name__ == "__main__":
    main()
