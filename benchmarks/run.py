"""Measure every speed and memory of docs/reference/speed.md in one run.

    python benchmarks/run.py                      # everything, an hour or two, most of it for CiaoSR's memory
    python benchmarks/run.py attention decoders   # some of it

The script prints a table and writes benchmarks.json and benchmarks.png to the folder `out`. When it
measured everything, it also replaces the table of docs/reference/speed.md. Times are medians of runs
that take turns; look at the ratios. Each part runs in a process of its own, because earlier work
decides how fast the system hands out memory, which the plain versions fill.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import torch
import torch.nn.functional as F
from result import Result, row
from runtimes import runtimes
from torch import Tensor, nn

import toolbox
from toolbox.benchmarking.chart import draw, machine
from toolbox.benchmarking.timing import interleaved, peak_work
from toolbox.catalog import shipped_providers
from toolbox.evaluation.usage import measured
from toolbox.images.engine.run import restore_tensor
from toolbox.nonlocal_blocks import soft_block_matching
from toolbox.nonlocal_blocks.attention import Correlation, attend
from toolbox.nonlocal_blocks.cross_scale import laid_down, shrunk
from toolbox.nonlocal_blocks.neighborhood import Whole, Window
from toolbox.nonlocal_blocks.plain import plain_laid_down
from toolbox.resolve import resolve
from toolbox.weights.fold import folded

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "speed.md"
TABLE = re.compile(r"(?<=<!-- table of benchmarks/run.py -->\n\n).*?(?=\n\n<!-- end of table -->)", re.DOTALL)
CPU = torch.device("cpu")
DECODED = 256  # approximate side of the pictures for decoders
SCALES = (2, 3.5, 4)  # scales for decoders
BLOCKS: dict[str, dict[str, object]] = {  # with settings for 128 channels
    "cross-scale": {},
    "pyramid": {"embedding_channels": 64},
    "nlsa": {"embedding_channels": 32},
    "enlca": {"embedding_channels": 32},
    "mdta": {"heads": 4},
}
ENLARGED = ("edsr-diinn", "liif", "metasr-edsr", "lte", "srno", "lm-liif", "lm-lte", "lm-ciaosr", "thera", "ciaosr")
PATCH, STRIDE = 45, 7  # of the published evaluation of NLRN


def attention() -> list[Result]:
    """NLRN's attention against the time that its own products would take at the machine's peak."""
    window, side = Window(size=45), 128
    drawn = (0.3 * torch.randn(1, channels, side, side) for channels in (64, 64, 128))
    queries, keys, values = (each.to(memory_format=torch.channels_last) for each in drawn)  # as the networks run
    _, correlation = attend(queries, keys, values, window, propagates=True)
    peak, multiply_adds = peak_work(CPU)
    times = interleaved(
        {
            "peak": peak,
            "alone": lambda: attend(queries, keys, values, window),
            "next state": lambda: attend(queries, keys, values, window, correlation, propagates=True),
        },
        9,
        CPU,
    )
    alone, following = times["alone"].median, times["next state"].median
    floor = 45**2 * (64 + 128) * side**2 * times["peak"].median / multiply_adds
    detail = f"{1e6 * alone / side**2:.1f} µs a pixel, ±{times['alone'].spread:.0%}"
    return [
        Result("non-local, window 45, 128 × 128", "its products at the peak", floor / alone, "of the speed", detail),
        Result(
            "the same in later states, with propagation",
            "without",
            following / alone,
            "of the time",
            f"{1e6 * following / side**2:.1f} µs a pixel",
        ),
    ]


def nlrn() -> list[Result]:
    """NLRN against the published way to run it: the whole network on overlapping patches."""
    side = 256
    restorer, patchwise = toolbox.build("nlrn").eval(), _PublishedNLRN(toolbox.build("nlrn-whole").eval())
    for network in (restorer, patchwise.restorer):
        for name, parameter in network.named_parameters():
            if "theta" in name or "phi" in name:  # else correlations are far larger than trained ones
                parameter.data.mul_(0.02)
    image, patches = torch.rand(1, 1, side, side), torch.rand(8, 1, PATCH, PATCH)
    count = (math.ceil((side - PATCH) / STRIDE) + 1) ** 2
    times = interleaved({"ours": lambda: restorer(image), "patches": lambda: patchwise(patches)}, 2, CPU)
    ours, published = times["ours"].median, times["patches"].median / len(patches) * count
    with measured(CPU) as cost:
        restorer(image)
    memory = "" if cost.peak_memory is None else f", {cost.peak_memory / 1e9:.2f} GB"
    detail = f"{ours:.1f} s{memory}; {published:.0f} s for {count} patches"
    return [Result("NLRN, 12 states, 256 × 256", "45 × 45 patches, stride 7", published / ours, "faster", detail)]


class _PublishedNLRN(nn.Module):
    """NLRN on patches, every state's attention written as two products and a softmax."""

    def __init__(self, restorer: toolbox.Restorer) -> None:
        super().__init__()
        self.restorer = restorer

    def forward(self, patches: Tensor) -> Tensor:
        with patch.object(soft_block_matching, "attend", _plain_attend):
            result: Tensor = self.restorer(patches)
        return result


def _plain_attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    neighborhood: Window | Whole,
    previous: Correlation | None = None,
    weighting: str = "softmax",
    *,
    propagates: bool = False,
) -> tuple[Tensor, Correlation | None]:
    """Attention over the whole image or over unfolded windows, as in published code."""
    if isinstance(neighborhood, Whole):
        score = queries.flatten(2).transpose(1, 2) @ keys.flatten(2)
        score = score if previous is None else score + previous[0]
        gathered = (score.softmax(-1) @ values.flatten(2).transpose(1, 2)).transpose(1, 2)
    else:
        size, radius = neighborhood.size, neighborhood.size // 2
        seen = F.unfold(keys, size, padding=radius).unflatten(1, (keys.shape[1], -1))
        score = (queries.flatten(2)[:, :, None] * seen).sum(1)
        inside = F.unfold(torch.ones_like(keys[:1, :1]), size, padding=radius)
        score = score.masked_fill(inside == 0, -math.inf) if previous is None else score + previous[0]
        seen = F.unfold(values, size, padding=radius).unflatten(1, (values.shape[1], -1))
        gathered = (seen * score.softmax(1)[:, None]).sum(2)
    return gathered.unflatten(2, queries.shape[-2:]), (score,) if propagates else None


def decoders() -> list[Result]:
    """Implicit decoders against their plain versions and against LIIF's, with weights and memory."""
    liif = toolbox.build("liif").eval().decoder
    results = []
    for network in ENLARGED:
        restorer = toolbox.build(network).eval()
        for scale in SCALES:
            side = 2 * round(DECODED / scale / 2)
            work = f"{restorer.spec.decoder.name}, {side} × {side}, ×{scale:g}"
            results.append(_against_plain(restorer, liif, side, round(side * scale), work))
    return results


def _against_plain(restorer: toolbox.Restorer, liif: nn.Module, low: int, high: int, work: str) -> Result:
    decoder, plain, size = restorer.decoder, _plain(restorer.spec.decoder.name), (high, high)
    features = torch.rand(1, 64, low, low).to(memory_format=torch.channels_last)
    pieces: dict[str, Callable[[], object]] = {
        "fast": lambda: decoder(features, size),
        "plain": lambda: plain(decoder, features, size),
        "liif": lambda: liif(features, size),
    }
    times = interleaved(pieces, 3, CPU)
    fast = times["fast"].median
    details = f"{1e6 * fast / high**2:.2f} µs an output pixel, ±{times['fast'].spread:.0%}"
    share = f"{fast / times['liif'].median:.2g} of LIIF's"
    with measured(CPU) as cost:
        decoder(features, size)
    memory = "" if cost.peak_memory is None else f", {cost.peak_memory / 1e6:.0f} MB"
    weights = sum(parameter.numel() for parameter in decoder.parameters())
    return Result(
        work, "plain", times["plain"].median / fast, "faster", f"{details}, {share}; {weights:,} weights{memory}"
    )


def _plain(name: str) -> Callable[..., Tensor]:
    info = next(info for info in toolbox.list_components() if info.name == name)
    return info.plain or info.factory


def encoders() -> list[Result]:
    """Encoders against their plain versions, and folded for use against the same."""
    found: dict[str, str] = {}
    for name in shipped_providers():
        info = resolve(name).encoder.info
        if info.plain is not None:
            found.setdefault(info.name, name)
    results = []
    for encoder, network in found.items():
        restorer, image = toolbox.build(network).eval(), torch.rand(1, 3, 128, 128)
        forms = {"as trained": restorer}
        if (used := folded(restorer)) is not restorer:
            forms["folded"] = used
        plain = _plain(encoder)
        pieces: dict[str, Callable[[], object]] = {"plain": partial(plain, restorer.encoder, image)}
        pieces |= {form: partial(each.encoder, image) for form, each in forms.items()}
        times = interleaved(pieces, 5, CPU)
        for form, each in forms.items():
            weights = sum(parameter.numel() for parameter in each.encoder.parameters())
            detail = f"{1e6 * times[form].median / 128**2:.2f} µs a pixel; {weights:,} weights"
            ratio = times["plain"].median / times[form].median
            results.append(Result(f"{encoder}, 128 × 128, {form}", "plain", ratio, "faster", detail))
    return results


def blocks() -> list[Result]:
    """Non-local blocks against their plain versions, attention across scales alone, and CSNLN's decoder."""
    side, channels = 48, 128
    features = torch.rand(1, channels, side, side).to(memory_format=torch.channels_last)
    embedded = features[:, : channels // 2]
    across = (embedded, shrunk(embedded, 2), features, 2)
    pieces: dict[str, Callable[[], object]] = {
        "fast": lambda: laid_down(*across),
        "plain": lambda: plain_laid_down(*across),
    }
    times = interleaved(pieces, 5, CPU)
    work, detail = f"attention across scales, {channels} channels, {side} × {side}", f"{times['fast'].median:.3f} s"
    results = [Result(work, "unfolded patches", times["plain"].median / times["fast"].median, "faster", detail)]
    for name, settings in BLOCKS.items():
        spec = {"name": "nonlocal", "nonlocal": {"name": name, **settings}}
        restorer = toolbox.build({"channels": channels, "encoder": spec, "decoder": "features"}).eval()
        block = restorer.encoder.nonlocal_block
        pieces = {"fast": partial(block, features, None), "plain": partial(_plain(name), block, features)}
        times = interleaved(pieces, 5, CPU)
        ratio, fast = times["plain"].median / times["fast"].median, times["fast"]
        detail = f"{1e6 * fast.median / side**2:.1f} µs a pixel, ±{fast.spread:.0%}"
        results.append(Result(f"{name}, {channels} channels, {side} × {side}", "plain", ratio, "faster", detail))
    decoder, size = toolbox.build("csnln-x2", decoder={"steps": 1}).eval().decoder, (2 * side, 2 * side)
    pieces = {
        "fast": lambda: decoder(features, size),
        "plain": lambda: _plain("self-exemplars")(decoder, features, size),
    }
    times = interleaved(pieces, 3, CPU)
    ratio = times["plain"].median / times["fast"].median
    detail = f"{times['fast'].median:.2f} s"
    return [*results, Result(f"a state of CSNLN, {side} × {side}, ×2", "plain", ratio, "faster", detail)]


def networks() -> list[Result]:
    """DIINN on RDN as a whole, its decoder fast and plain."""
    restorer, image = toolbox.build("diinn").eval(), torch.rand(1, 3, 48, 48)
    plain = _plain("dual-interactive")

    def plainly(size: tuple[int, int]) -> Tensor:
        return plain(restorer.decoder, restorer.encode(image), size)

    results = []
    for scale in (4, 8):
        size = (48 * scale, 48 * scale)
        pieces: dict[str, Callable[[], object]] = {
            "fast": partial(restorer, image, size=size),
            "plain": partial(plainly, size),
        }
        times = interleaved(pieces, 3, CPU)
        ratio = times["plain"].median / times["fast"].median
        detail = f"{times['fast'].median:.2f} s"
        results.append(Result(f"DIINN on RDN, 48 × 48, ×{scale}", "plain decoder", ratio, "faster", detail))
    return results


RESTORED = """
import sys
import numpy as np
import torch
import toolbox
from toolbox.evaluation.usage import measured
from toolbox.images.engine.plan import make_plan
from toolbox.images.engine.request import Geometry, Request
from toolbox.images.engine.run import restore_array

name, height, width, scale, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
restorer = toolbox.build(name).eval()
picture = np.random.default_rng(0).integers(0, 256, (height, width, restorer.channels), np.uint8)
with measured(torch.device("cpu")) as cost:
    request = Request(Geometry(scale), None if limit == "none" else limit)
    plan = make_plan(restorer, (restorer.channels, height, width), request)
    restore_array(restorer, picture, plan)
peak = next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(cost.peak_memory, peak, cost.seconds, plan.tiles, plan.exact)
"""


def memory() -> list[Result]:
    """The most memory of a process that restores a large picture."""
    results = []
    cases = [*((name, 540, 960, 4, "none") for name in ENLARGED), ("nlrn", 512, 512, 1, "2GB")]
    cases += [("swinir-light-x2", 270, 480, 2, limit) for limit in ("none", "500MB")]
    for name, height, width, scale, limit in cases:
        command = [sys.executable, "-W", "ignore", "-c", RESTORED, name, *map(str, (height, width, scale)), limit]
        done = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        above, peak, seconds = float(done[0]), float(done[1]), float(done[2])
        work = f"{name}, {width} × {height}" + (f" to {width * scale} × {height * scale}" if scale > 1 else "")
        tiles = f"{done[3]} tiles{'' if done[4] == 'True' else ', approximate'}"
        if limit == "none":
            results.append(Result(work, "memory before", above / 1e9, "GB more", f"{seconds:.0f} s, {tiles}"))
        else:
            detail = f"--max-memory {limit}: {seconds:.0f} s, {tiles}"
            results.append(Result(work, "whole process", peak / 1e9, "GB", detail))
    return results


def growth() -> list[Result]:
    """The growth of time with pixels, where 1 means in proportion."""
    results = []
    for name, scale in (("nlrn-lite", 1), ("diinn-lite", 2)):
        restorer = toolbox.load(name)
        images = {side: torch.rand(1, restorer.channels, side, side) for side in (128, 1024)}
        pieces: dict[str, Callable[[], object]] = {
            str(side): partial(restore_tensor, restorer, image, (scale * side, scale * side))
            for side, image in images.items()
        }
        times = interleaved(pieces, 5, CPU)
        exponent = math.log(times["1024"].median / times["128"].median) / math.log(64)
        detail = f"{1e6 * times['1024'].median / 1024**2:.2f} µs a pixel"
        results.append(Result(f"{name}, 128² to 1024² pixels", "pixels", exponent, "exponent", detail))
    return results


def training() -> list[Result]:
    """A training step of nlrn-lite against the same with unfolded windows."""
    restorer, patches = toolbox.load("nlrn-lite").train(), torch.rand(16, 1, 40, 40)
    used: dict[str, int | None] = {}

    def step(attends: Callable[..., object]) -> None:
        with patch.object(soft_block_matching, "attend", attends):
            restorer(patches).square().mean().backward()

    pieces: dict[str, Callable[[], object]] = {"fast": lambda: step(attend), "plain": lambda: step(_plain_attend)}
    with torch.enable_grad():
        times = interleaved(pieces, 5, CPU)
        for name, piece in pieces.items():
            with measured(CPU) as cost:
                piece()
            used[name] = cost.peak_memory
    work = "training step of nlrn-lite, 16 patches of 40 × 40"
    detail = f"{1e3 * times['fast'].median:.0f} ms"
    results = [Result(work, "unfolded windows", times["plain"].median / times["fast"].median, "faster", detail)]
    if used["fast"] and used["plain"]:
        detail = f"{used['fast'] / 1e6:.0f} MB"
        results.append(Result(work, "unfolded windows", used["fast"] / used["plain"], "of the memory", detail))
    return results


def start() -> list[Result]:
    """The time to start, beyond that of an empty Python."""
    commands = {
        "empty": ["-c", "pass"],
        "`toolbox --help`": ["-m", "toolbox", "--help"],
        "`import toolbox`": ["-c", "import toolbox"],
    }
    pieces: dict[str, Callable[[], object]] = {
        name: partial(subprocess.run, [sys.executable, *rest], check=True, capture_output=True)
        for name, rest in commands.items()
    }
    times = interleaved(pieces, 9, CPU)
    empty = times.pop("empty").median
    return [Result(name, "`python -c pass`", timing.median - empty, "s more", "") for name, timing in times.items()]


PARTS = (attention, nlrn, decoders, encoders, blocks, networks, runtimes, memory, growth, training, start)


@torch.no_grad()
def measure(part: Callable[[], list[Result]]) -> list[Result]:
    """Measure a part on the same random numbers, independently of other parts."""
    torch.manual_seed(0)
    return part()


def main() -> None:
    """Measure, print, and write the same to files."""
    names = [part.__name__ for part in PARTS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(names)}; all of them unless given")
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(names):
        parser.error(f"got {', '.join(sorted(unknown))}, expected some of {', '.join(names)}")
    results = []
    lines = ["| work | compared with | result | detail |", "|---|---|---|---|"]
    print(*lines, sep="\n")
    for part in PARTS:
        if part.__name__ in (arguments.parts or names):
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                found = process.submit(measure, part).result()
            results += found
            lines += map(row, found)
            print(*map(row, found), sep="\n", flush=True)
    print(f"\n{machine()}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine(), "results": [vars(result) for result in results]}
    (arguments.out / "benchmarks.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    faster = {result.work: result.ratio for result in results if result.unit == "faster"}
    if faster:
        draw(faster, "times faster", arguments.out / "benchmarks.png")
    if not arguments.parts:
        write_table("\n".join([*lines, "", f"*{machine()}*"]), PAGE)


def write_table(table: str, page: Path) -> None:
    """Replace the table of the page."""
    text = page.read_text(encoding="utf-8")
    page.write_text(TABLE.sub(lambda _: table, text), encoding="utf-8")


if __name__ == "__main__":
    main()
