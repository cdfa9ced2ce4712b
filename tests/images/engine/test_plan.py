"""Memory as a promise: estimated before the work, kept by it, and refused when it cannot be kept."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.parts import restorer_of
from toolbox.cost import cost
from toolbox.errors import ImageError
from toolbox.images.engine import plan as plan_module
from toolbox.images.engine.plan import make_plan, parse_memory, warn_if_approximate
from toolbox.images.engine.request import Geometry, Request
from toolbox.images.restore import restore
from toolbox.restorer import Restorer, build

WINDOW = {"kind": "window", "size": 9}


def denoiser(neighborhood: dict[str, object] | None = WINDOW, steps: int = 3) -> Restorer:
    block = {"name": "soft-block-matching", "embedding_channels": 8, "neighborhood": neighborhood}
    transition = {"name": "nonlocal-residual", "channels": 16, "nonlocal": block if neighborhood else None}
    encoder = {"name": "recurrent", "steps": steps, "transition": transition}
    return build({"channels": 1, "encoder": encoder, "decoder": "residual-conv"})


@pytest.fixture
def empty_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans alone are compared, without what this process happens to hold."""
    monkeypatch.setattr(plan_module, "_memory", lambda _: (0.0, 1e12))


def test_the_memory_and_work_of_a_product_are_counted_without_doing_it() -> None:
    a, b = torch.empty(1000, 2000, device="meta"), torch.empty(2000, 3000, device="meta")
    found = cost(lambda: (a @ b).relu().sum())
    assert found.multiply_adds == 1000 * 2000 * 3000
    assert found.memory == 2 * 4 * 1000 * 3000  # product and ReLU are alive together
    assert found.traffic >= 4 * (1000 * 2000 + 2000 * 3000 + 3 * 1000 * 3000)


def test_memory_given_back_is_not_counted_twice() -> None:
    def one_after_the_other() -> None:
        for _ in range(5):
            torch.empty(1000, device="meta").exp()

    assert cost(one_after_the_other).memory == 8000


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2GB", 2e9), ("512MiB", 512 * 2**20), (10**9, 1e9), (1.5e9 + 0.25, 1.5e9), ("1.5 GB", 1.5e9)],
    ids=str,
)
def test_memory_is_written_as_people_write_it(text: str | int, expected: float) -> None:
    assert parse_memory(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-1GB", "2 GX"])
def test_what_is_no_memory_is_refused(text: str) -> None:
    with pytest.raises(ImageError, match="expected bytes or text such as 2GB or 512MiB"):
        parse_memory(text)


@pytest.mark.usefixtures("empty_process")
def test_less_memory_makes_smaller_tiles() -> None:
    restorer = denoiser()
    shape = (1, 900, 700)
    free = make_plan(restorer, shape)
    assert free.exact
    assert free.memory is not None
    less = make_plan(restorer, shape, Request(max_memory=free.memory - 12e6))
    assert less.exact
    assert less.tiles > free.tiles
    assert less.memory is not None
    assert less.memory < free.memory - 12e6
    with pytest.raises(ImageError, match=r"restoring 700x900 to 700x900 takes .* GB, expected at most 0.05 GB: use"):
        make_plan(restorer, shape, Request(max_memory="50MB"))


@pytest.mark.usefixtures("empty_process")
def test_where_no_exact_tile_fits_the_halo_shrinks_and_that_is_said() -> None:
    restorer = denoiser(None, steps=40)  # its encoder sees 81 pixels around
    array = np.zeros((300, 300), np.uint8)
    whole = make_plan(restorer, (1, 300, 300), estimate_small=True)
    assert whole.exact
    assert whole.memory is not None
    with pytest.warns(
        UserWarning, match=r"is approximate: tiles have a halo of \d+ px, since .* the network's 81 px do"
    ):
        restore(array, restorer, max_memory=whole.memory - 18e6)
    plan = make_plan(restorer, (1, 300, 300), Request(max_memory=whole.memory - 18e6))
    assert not plan.exact
    assert 0 < plan.tiling.halo < 81


def test_a_halo_that_was_asked_for_is_taken_without_a_word() -> None:
    restorer = denoiser()
    plan = make_plan(restorer, (1, 900, 800), Request(halo=4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_approximate(restorer, plan, Request(halo=4))
    assert not plan.exact
    assert plan.tiling.halo == 4
    assert make_plan(restorer, (1, 900, 800), Request(halo=500)).exact


def test_a_picture_of_one_tile_is_exact_whatever_the_halo() -> None:
    assert make_plan(denoiser(), (1, 30, 30), Request(halo=0)).exact


def test_the_whole_image_cannot_be_cut_into_tiles() -> None:
    restorer = denoiser({"kind": "whole"})
    with pytest.raises(ImageError, match="this network sees the whole picture, which cannot be cut"):
        make_plan(restorer, (1, 64, 64), Request(halo=8))
    with pytest.raises(
        ImageError, match="the network sees the whole picture at once, so tiles are impossible; use a w"
    ):
        make_plan(restorer, (1, 200, 200), Request(max_memory="100MB"))


def test_a_picture_that_fits_into_no_memory_is_refused_before_any_work() -> None:
    with pytest.raises(ImageError, match=r"restoring 40000x25000 to 40000x25000 takes \d+\.\d+ GB, expected at most"):
        make_plan(build("nlrn"), (1, 25000, 40000))


@pytest.mark.usefixtures("empty_process")
def test_tiles_in_little_memory_give_what_the_whole_gives() -> None:
    torch.manual_seed(0)
    restorer = restorer_of(
        {
            "channels": 3,
            "encoder": {"name": "edsr", "channels": 32, "blocks": 2},
            "decoder": {"name": "dual-interactive", "hidden": [8]},
        }
    ).float()
    array = np.random.default_rng(0).random((500, 430, 3), np.float32)
    plan = make_plan(restorer, (3, 500, 430), Request(Geometry(1.5)), estimate_small=True)
    assert plan.memory is not None
    little = plan.memory - 8e6
    assert make_plan(restorer, (3, 500, 430), Request(Geometry(1.5), little)).tiles > plan.tiles
    np.testing.assert_allclose(
        restore(array, restorer, 1.5, max_memory=little), restore(array, restorer, 1.5), atol=1e-5
    )


MEASURED = """
import sys
import numpy as np, torch
import toolbox
from toolbox.images.engine.plan import make_plan
from toolbox.images.engine.request import Geometry, Request
from toolbox.images.engine.run import restore_array

def status(key):
    return next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))

model, height, width, scale, less = sys.argv[1], *map(float, sys.argv[2:])
restorer = toolbox.load(model)
shape = restorer.channels, int(height), int(width)
array = np.random.default_rng(0).integers(0, 256, (*shape[1:], shape[0]), np.uint8)
for _ in range(2):  # the first time, planning itself takes some
    free = make_plan(restorer, shape, Request(Geometry(scale)), estimate_small=True)
promise = free.memory - less + 8e6
plan = make_plan(restorer, shape, Request(Geometry(scale), promise))
restore_array(restorer, array, plan)
print(plan.memory, promise, status("VmHWM"))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory as Linux tells it")
@pytest.mark.parametrize(
    "case",
    [("nlrn-lite", 700, 800, 1, 0), ("nlrn-lite", 700, 700, 1, 12e6), ("diinn-lite", 200, 300, 2, 0)],
    ids=lambda case: "-".join(map(str, case)),
)
def test_what_was_promised_is_kept_and_not_far_off(case: tuple[str, float, float, float, float]) -> None:
    command = [sys.executable, "-c", MEASURED, *map(str, case)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    estimated, promised, measured = map(float, done.stdout.split())
    assert estimated <= promised
    assert measured <= promised
    assert measured > 0.75 * estimated
