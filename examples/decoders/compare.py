"""Compare every implicit decoder on the same encoder, data, seeds and steps, at a size that trains in minutes.

    python examples/decoders/compare.py train --data PHOTOS --set5 SET5 --kept KEPT
    python examples/decoders/compare.py time
    python examples/decoders/compare.py report

`train` trains and scores each network once per seed, and writes scores.csv; after an interruption the same command
goes on. `time` measures the decoders, on a machine that does nothing else, and writes times.json. `report` makes the
tables and the plot of docs/reference/decoders.md from the two files.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import toolbox
from toolbox.benchmarking.chart import machine
from toolbox.benchmarking.timing import Work, interleaved
from toolbox.catalog import read_yaml
from toolbox.config import validated
from toolbox.discovery import installed
from toolbox.evaluation.plots import load_figure
from toolbox.evaluation.scoring import score_folder
from toolbox.files import written_beside
from toolbox.restorer import Restorer
from toolbox.training.loop import train
from toolbox.training.recipe import Recipe
from toolbox.training.settings import Validation

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "decoders.md"
TABLES = re.compile(
    r"(?<=<!-- tables of examples/decoders/compare.py -->\n\n).*?(?=\n\n<!-- end of tables -->)", re.DOTALL
)
DECODERS: Mapping[str, Any] = read_yaml(HERE / "decoders.yaml")
BASELINE = "bicubic"
CROP = 144  # side of what is scored of a picture kept aside, in pixels
TIMED = (2, 3.5, 4)  # scales
SIDE = 288  # approximate side of the output that is timed, in pixels
PLOTTED = (2, 4, 8)  # scales
SETS = {"set5": "Set5", "kept": "Pictures kept aside"}


@dataclass(frozen=True)
class Score:
    """The mean PSNR of one network on a set of pictures."""

    decoder: str
    seed: int
    steps: int
    pictures: str
    scale: float
    psnr: float


def recipe_of(decoder: Mapping[str, Any], seed: int = 0, **changes: Any) -> Recipe:
    """The common recipe with this decoder."""
    path = HERE / "recipe.yaml"
    shared = read_yaml(path)
    model = {**shared["model"], "decoder": decoder}
    return validated(Recipe, {**shared, "model": model, "seed": seed, **changes}, installed(), str(path))


def scored(
    restorer: Restorer, validation: Validation | None, folders: Mapping[str, Path]
) -> dict[str, dict[str, float]]:
    """The mean PSNR on each set of pictures at each scale of the recipe's validation."""
    if validation is None:
        raise SystemExit("recipe.yaml has no validation, expected the protocol and the scales to score with")
    return {
        name: {
            str(scale): statistics.mean(
                score.psnr for score in score_folder(restorer, folder, validation.protocol, scales=(scale,))
            )
            for scale in validation.scales
        }
        for name, folder in folders.items()
    }


def run(recipe: Recipe, sets: Mapping[str, Path], folder: Path) -> dict[str, dict[str, float]] | None:
    """Train and score one network, or read its earlier scores; None after an interruption."""
    done = folder / "scores.json"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        trained = train(recipe.model_copy(update={"validation": None}), folder, folder.name, resume=True)
        if trained is None:
            return None
        scores = scored(trained.restorer, recipe.validation, sets)
        with written_beside(done) as partial_file:
            partial_file.write_text(json.dumps(scores), encoding="utf-8")
        trained.run.pictures.remove()
    return dict(json.loads(done.read_text(encoding="utf-8")))


def middle(folder: Path, out: Path) -> Path:
    """Write the middle of each picture of a folder, since whole pictures would take longer than the training."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.iterdir()):
        with Image.open(path) as picture:
            side = min(CROP, picture.width, picture.height)
            left, top = (picture.width - side) // 2, (picture.height - side) // 2
            picture.crop((left, top, left + side, top + side)).save(out / f"{path.stem}.png")
    return out


def train_all(arguments: argparse.Namespace) -> None:
    """Train the missing networks, one seed after the other, and write all scores anew after each network."""
    runs = arguments.runs / f"{arguments.steps}-steps"
    sets = {"set5": arguments.set5, "kept": middle(arguments.kept, runs / "kept")}
    changes: dict[str, Any] = {
        "data": [str(folder) for folder in arguments.data],
        "budget": {"steps": arguments.steps},
        "validation": {**read_yaml(HERE / "recipe.yaml")["validation"], "folder": str(arguments.set5)},
    }
    validation = recipe_of(DECODERS["LIIF"], **changes).validation
    scores = list(_flat(BASELINE, 0, 0, scored(toolbox.build(BASELINE).eval(), validation, sets)))
    for seed in range(arguments.seeds):
        for name, decoder in DECODERS.items():
            found = run(recipe_of(decoder, seed, **changes), sets, runs / f"seed-{seed}" / name.replace(" ", "-"))
            if found is None:
                print("stopped; the same command goes on")
                return
            scores += _flat(name, seed, arguments.steps, found)
            print(f"{name}, seed {seed}: {found['kept']['4.0']:.2f} dB at ×4", flush=True)
            write_scores(scores, arguments.results / "scores.csv")


def _flat(decoder: str, seed: int, steps: int, found: Mapping[str, Mapping[str, float]]) -> Iterator[Score]:
    for pictures, by_scale in found.items():
        for scale, psnr in by_scale.items():
            yield Score(decoder, seed, steps, pictures, float(scale), round(psnr, 3))


def write_scores(scores: Sequence[Score], path: Path) -> None:
    """Write all scores as CSV."""
    with written_beside(path) as partial_file, partial_file.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Score))
        writer.writerows(astuple(score) for score in scores)


def read_scores(path: Path) -> list[Score]:
    """The scores of the CSV file, without those of a seed that not all decoders have."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [
            Score(
                row["decoder"],
                int(row["seed"]),
                int(row["steps"]),
                row["pictures"],
                float(row["scale"]),
                float(row["psnr"]),
            )
            for row in csv.DictReader(file)
        ]
    by_seed = {seed: {row.decoder for row in rows if row.seed == seed} for seed in {row.seed for row in rows}}
    return [row for row in rows if by_seed[row.seed] >= set(DECODERS)]


@torch.no_grad()
def time_all(arguments: argparse.Namespace) -> None:
    """Time each decoder, and the encoder, in microseconds per output pixel."""
    torch.manual_seed(0)
    networks = {name: Restorer(recipe_of(decoder).model).eval() for name, decoder in DECODERS.items()}
    times: dict[str, dict[str, float]] = {name: {} for name in ("encoder", *networks)}
    for scale in TIMED:
        low = 2 * round(SIDE / scale / 2)
        size = (round(low * scale), round(low * scale))
        image = torch.rand(1, 3, low, low)
        features = networks["LIIF"].encode(image)
        pieces: dict[str, Work] = {"encoder": partial(networks["LIIF"].encode, image)}
        pieces |= {name: partial(network.decoder, features, size) for name, network in networks.items()}
        for name, timing in interleaved(pieces, arguments.repeats, torch.device("cpu")).items():
            times[name][str(scale)] = round(1e6 * timing.median / (size[0] * size[1]), 4)
        print(
            f"×{scale:g}: " + ", ".join(f"{name} {each[str(scale)]:.3g} µs" for name, each in times.items()), flush=True
        )
    report = {"machine": machine(), "microseconds_per_output_pixel": times}
    with written_beside(arguments.results / "times.json") as partial_file:
        partial_file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def weights_of(decoder: Mapping[str, Any]) -> int:
    """The number of weights of a decoder on the common encoder."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Restorer(recipe_of(decoder).model).decoder.parameters())


def report(arguments: argparse.Namespace) -> None:
    """Replace the tables of the page, and draw the plot beside it."""
    scores = read_scores(arguments.results / "scores.csv")
    times_file = arguments.results / "times.json"
    measured = json.loads(times_file.read_text(encoding="utf-8")) if times_file.exists() else None
    tables = [costs(measured), *(table(scores, pictures) for pictures in SETS)]
    if measured is not None:
        plot = arguments.page.with_suffix(".png")
        draw_plot(scores, measured["microseconds_per_output_pixel"], plot)
        tables.append(f"![PSNR over the time per output pixel, for each decoder]({plot.name})")
    text = arguments.page.read_text(encoding="utf-8")
    arguments.page.write_text(TABLES.sub(lambda _: "\n\n".join(tables), text), encoding="utf-8")


def costs(measured: Mapping[str, Any] | None) -> str:
    """The table of weights and, when they were measured, times."""
    scales = TIMED if measured else ()
    lines = [
        "| decoder | weights |" + "".join(f" µs, ×{scale:g} |" for scale in scales),
        "|---|--:|" + "--:|" * len(scales),
    ]
    times = measured["microseconds_per_output_pixel"] if measured else {}
    for name, decoder in DECODERS.items():
        took = "".join(f" {times[name][str(scale)]:.2g} |" for scale in scales)
        lines.append(f"| {name} | {weights_of(decoder):,} |{took}")
    if measured:
        took = ", ".join(f"{times['encoder'][str(scale)]:.2g} µs at ×{scale:g}" for scale in scales)
        lines += ["", f"*The encoder adds {took}. {measured['machine']}*"]
    return "\n".join(lines)


def table(scores: Sequence[Score], pictures: str) -> str:
    """The table of mean PSNR over seeds on one set of pictures, with the best at each scale in bold."""
    rows = [score for score in scores if score.pictures == pictures]
    scales = sorted({score.scale for score in rows})
    means = {
        name: {scale: [row.psnr for row in rows if row.decoder == name and row.scale == scale] for scale in scales}
        for name in (BASELINE, *DECODERS)
    }
    best = {scale: max(statistics.mean(each[scale]) for each in means.values()) for scale in scales}
    lines = [f"| {SETS[pictures]} |" + "".join(f" ×{scale:g} |" for scale in scales), "|---|" + "--:|" * len(scales)]
    lines += [
        f"| {name} |" + "".join(f" {_cell(each[scale], best[scale])} |" for scale in scales)
        for name, each in means.items()
    ]
    return "\n".join(lines)


def _cell(values: Sequence[float], best: float) -> str:
    mean = statistics.mean(values)
    shown = f"**{mean:.2f}**" if mean == best else f"{mean:.2f}"
    return f"{shown} ± {statistics.stdev(values):.2f}" if len(values) > 1 else shown


def draw_plot(scores: Sequence[Score], times: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw PSNR on the pictures kept aside over the time of the decoder at ×4, a panel for each scale."""
    figure = load_figure()(figsize=(5 * len(PLOTTED), 4.5), layout="constrained")
    for panel, scale in zip(figure.subplots(1, len(PLOTTED), squeeze=False)[0], PLOTTED, strict=True):
        means = {
            name: statistics.mean(
                row.psnr for row in scores if (row.decoder, row.pictures, row.scale) == (name, "kept", scale)
            )
            for name in (BASELINE, *DECODERS)
        }
        panel.axhline(means.pop(BASELINE), color="gray", linestyle="--", label=BASELINE)
        for name, psnr in means.items():
            place = (times[name]["4"], psnr)
            panel.scatter(*place)
            panel.annotate(name, place, xytext=(4, 4), textcoords="offset points", fontsize="small")
        panel.set(title=f"×{scale}", xscale="log", xlabel="µs per output pixel, ×4", ylabel="PSNR (dB)")
        panel.legend(fontsize="small")
    with written_beside(path) as partial_file:
        figure.savefig(partial_file, format="png", dpi=110)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=HERE, help="folder of scores.csv and times.json")
    commands = parser.add_subparsers(required=True)
    training = commands.add_parser("train", help="train and score the networks")
    training.add_argument("--data", type=Path, nargs="+", required=True, help="folders of pictures to train on")
    training.add_argument("--set5", type=Path, required=True, help="folder of the pictures of Set5")
    training.add_argument("--kept", type=Path, required=True, help="folder of pictures kept aside")
    training.add_argument(
        "--steps", type=int, default=recipe_of(DECODERS["LIIF"]).budget.steps, help="(default: %(default)s)"
    )
    training.add_argument("--seeds", type=int, default=3, help="networks of each kind (default: %(default)s)")
    training.add_argument(
        "--runs", type=Path, default=Path("runs/decoders"), help="folder of the runs (default: %(default)s)"
    )
    training.set_defaults(command=train_all)
    timing = commands.add_parser("time", help="time the decoders")
    timing.add_argument("--repeats", type=int, default=9, help="(default: %(default)s)")
    timing.set_defaults(command=time_all)
    reporting = commands.add_parser("report", help="write the page")
    reporting.add_argument(
        "--page", type=Path, default=PAGE, help="page to rewrite (default: docs/reference/decoders.md)"
    )
    reporting.set_defaults(command=report)
    arguments = parser.parse_args()
    load_figure()  # so that a missing package is reported before hours of training
    arguments.command(arguments)


if __name__ == "__main__":
    main()
