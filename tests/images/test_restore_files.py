"""Many files: each on its own, several at a time, and none harmed by another or by being killed."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tifffile
import torch
from PIL import Image

from tests.images.samples import first_page, identity, noise
from toolbox import files
from toolbox.errors import ImageError
from toolbox.files import remove_partials, written_beside
from toolbox.images import restore_files as batch_module
from toolbox.images.engine.request import Geometry, Request
from toolbox.images.jobs import find_sources, output_of
from toolbox.images.restore_file import Networks, Settings, restore_file
from toolbox.images.restore_files import FilesRun, Outcome, Streams, existing


def batch(arguments: list[Any], output: str | Path | None, workers: int = 1, scale: float = 2, **more: Any) -> FilesRun:
    texts = [str(argument) for argument in arguments]
    out = None if output is None else output_of(str(output), texts, None)
    settings = Settings(Networks((identity(),), "bicubic"), Request(Geometry(scale), workers=workers))
    streams = Streams(io.BytesIO(), io.BytesIO())
    return FilesRun(find_sources(texts, True, out).sources, out, settings, streams, **more)


def run(it: FilesRun) -> list[Outcome]:
    return sorted(it.run(lambda *_: None), key=lambda outcome: str(outcome.source))


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Five pictures, of which the third is none."""
    folder = tmp_path / "scans"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "c.png", "sub/d.png", "sub/e.png")):
        Image.fromarray(noise(6, 5, 3, seed=number)).save(folder / name)
    (folder / "c.png").write_bytes(b"no picture")
    return folder


@pytest.mark.parametrize("workers", [1, 3])
def test_a_bad_file_stops_no_other(workers: int, scans: Path, tmp_path: Path) -> None:
    outcomes = run(batch([scans], f"{tmp_path}/out/", workers))
    assert [outcome.error is None for outcome in outcomes] == [True, True, False, True, True]
    assert str(outcomes[2].error) == f"{scans / 'c.png'}: not a picture in a supported format"
    for name in ("a.png", "b.png", "sub/d.png", "sub/e.png"):
        assert first_page(tmp_path / "out" / name).pixels.shape == (12, 10, 3)
    assert not (tmp_path / "out" / "c.png").exists()


def test_a_fault_of_ours_stops_no_other_either(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restore = restore_file

    def failing(source: Any, *more: Any) -> Any:
        if source.name == "a.png":
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        if source.name == "b.png":
            raise KeyError("something")
        return restore(source, *more)

    monkeypatch.setattr(batch_module, "restore_file", failing)
    first, second, *_, last = run(batch([scans], f"{tmp_path}/out/"))
    assert str(first.error) == f"{scans}/a.png: the memory ran out; set --max-memory, or use fewer --workers"
    assert str(second.error) == f"{scans}/b.png: failed with KeyError: 'something'"
    assert isinstance(second.error, ImageError)
    assert isinstance(second.error.__cause__, KeyError)
    assert last.report is not None


def test_workers_share_the_cores_and_work_at_the_same_time(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    together, seen = threading.Barrier(2, timeout=20), []
    restore = restore_file

    def watched(*arguments: Any) -> Any:
        seen.append(torch.get_num_threads())
        if len(seen) <= 2:
            together.wait()  # which only passes when two are here
        return restore(*arguments)

    monkeypatch.setattr(batch_module, "restore_file", watched)
    try:
        assert sum(outcome.error is None for outcome in run(batch([scans], f"{tmp_path}/out/", workers=2))) == 4
        assert set(seen) == {2}
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_workers_change_no_value(scans: Path, tmp_path: Path) -> None:
    for workers in (1, 3):
        run(batch([scans], f"{tmp_path}/{workers}/", workers))
    for name in ("a.png", "b.png", "sub/d.png", "sub/e.png"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


def test_what_is_there_is_skipped_on_request(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").write_bytes(b"an earlier result")
    outcomes = run(batch([scans], f"{tmp_path}/out/", skip=existing))
    assert outcomes[1].skipped == str(tmp_path / "out" / "b.png")
    assert (tmp_path / "out" / "b.png").read_bytes() == b"an earlier result"
    assert sum(outcome.report is not None for outcome in outcomes) == 3
    again = run(batch([scans], f"{tmp_path}/out/", skip=existing))
    assert sum(outcome.skipped is not None for outcome in again) == 4


def test_an_input_is_overwritten_only_on_request(scans: Path) -> None:
    before = {path: path.read_bytes() for path in scans.rglob("*.png")}
    pattern = f"{scans}/{{stem}}{{suffix}}"
    outcomes = run(batch([scans / "a.png", scans / "b.png"], pattern))
    assert [str(outcome.error) for outcome in outcomes] == [
        f"{scans / name} is the input itself; choose another name, or use --overwrite" for name in ("a.png", "b.png")
    ]
    crossed = run(batch([scans / "a.png", scans / "b.png"], f"{scans}/b{{suffix}}"))
    assert f"{scans / 'b.png'} is one of the inputs" in str(crossed[0].error)
    assert {path: path.read_bytes() for path in scans.rglob("*.png")} == before
    (outcome,) = run(batch([scans / "a.png"], scans / "a.png", overwrite=True))
    assert outcome.error is None
    assert first_page(scans / "a.png").pixels.shape == (12, 10, 3)


def test_two_files_never_get_one_name(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        Image.fromarray(noise(4, 4)).save(tmp_path / folder / "a.png")
    inputs = [tmp_path / "x" / "a.png", tmp_path / "y" / "a.png"]
    first, second = run(batch(inputs, f"{tmp_path}/{{stem}}{{suffix}}"))
    assert first.error is None
    assert f"{inputs[1]} and {inputs[0]} would both be written to {tmp_path}/a.png" in str(second.error)


def test_a_folder_that_cannot_be_made_is_said(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    outcome, *_ = run(batch([scans], f"{tmp_path}/out/"))
    assert "out: the folder cannot be created: " in str(outcome.error)


def test_a_dry_run_touches_nothing(scans: Path, tmp_path: Path) -> None:
    outcomes = run(batch([scans], f"{tmp_path}/out/", only_tell=True))
    assert outcomes[0].report is not None
    assert outcomes[0].report.output_size == (10, 12)
    assert outcomes[0].report.memory
    assert not (tmp_path / "out").exists()


def test_hundreds_of_files_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    kinds = [tmp_path / name for name in ("0.png", "1.jpg", "2.webp", "3.tif", "4.jpg")]
    for path, shape in zip(kinds, ((60, 80, 3), (80, 60), (50, 50, 4), (), (40, 60, 3)), strict=True):
        if path.suffix == ".tif":
            tifffile.imwrite(path, noise(60, 50, 3, dtype=np.uint16), photometric="rgb")
        else:
            Image.fromarray(noise(*shape)).convert("CMYK" if path.stem == "4" else None).save(path)
    for number in range(500):
        shutil.copy(kinds[number % 5], folder / f"{number}{kinds[number % 5].suffix}")
    taken = []
    for outcome in batch([folder], f"{tmp_path}/out/", workers=2, scale=1).run(lambda *_: None):
        assert outcome.error is None
        taken.append(psutil.Process().memory_info().rss)
    assert len(list((tmp_path / "out").iterdir())) == 500
    assert max(taken[-50:]) - max(taken[50:100]) < 8e6  # pixels alone would be 22 MB


# Being stopped.


def stopped(it: FilesRun, how: signal.Signals, after: float) -> None:
    """Run a batch in a process of its own, and stop it after so many seconds."""
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            torch.set_num_threads(1)  # a pool of threads does not outlive a fork
            for _ in it.run(lambda *_: None):
                pass
        finally:
            os._exit(0)
    time.sleep(after)
    os.kill(child, how)
    os.waitpid(child, 0)


@pytest.mark.filterwarnings("ignore:.*fork")  # it is said of processes with threads, which the child leaves alone
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_old_files_new_ones_or_none(how: signal.Signals, tmp_path: Path) -> None:
    source, target, draw = tmp_path / "in", tmp_path / "out", random.Random(int(how))  # noqa: S311  # moments
    source.mkdir()
    target.mkdir()
    names = [f"{number}.png" for number in range(6)]
    for number, name in enumerate(names):
        Image.fromarray(noise(120, 150, 3, seed=number)).save(source / name)
    started = time.monotonic()
    run(batch([source], f"{target}/", scale=3))
    takes = time.monotonic() - started
    new = {name: (target / name).read_bytes() for name in names}
    partials, kept = 0, 0
    for _ in range(8):
        for name in names:
            (target / name).write_bytes(b"old") if draw.random() < 0.5 else (target / name).unlink(missing_ok=True)
        was = {path.name for path in target.iterdir() if path.suffix == ".png"}
        stopped(batch([source], f"{target}/", scale=3), how, draw.uniform(0, takes))
        for name in names:
            path = target / name
            old = name in was and path.exists() and path.read_bytes() == b"old"
            kept += old
            assert old or (name not in was and not path.exists()) or path.read_bytes() == new[name]
        partials += any(path.suffix == ".partial" for path in target.iterdir())
    assert kept, "it always came to its end"
    assert partials or how == signal.SIGINT, "it was never stopped while it wrote"
    run(batch([source / names[0]], f"{target}/", scale=3))
    assert all(path.name in names for path in target.iterdir())


def test_an_interrupt_between_files_stops_the_others(scans: Path, tmp_path: Path) -> None:
    it = batch([scans], f"{tmp_path}/out/", workers=2)
    outcomes = it.run(lambda *_: None)
    next(outcomes)
    assert isinstance(outcomes, Generator)
    outcomes.close()  # as an interrupt of the loop over them does
    assert not list((tmp_path / "out").glob(".*"))


def test_only_what_nobody_writes_any_more_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".a.png.12345678.partial"
    left.write_bytes(b"half")
    with written_beside(tmp_path / "b.png") as partial:
        remove_partials(tmp_path)
        assert partial.exists()
        assert not left.exists()
        partial.write_bytes(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["b.png"]


def test_a_file_system_without_locks_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(files, "_lock", refuse)
    with written_beside(tmp_path / "b.png") as partial:
        remove_partials(tmp_path)
        partial.write_bytes(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["b.png"]


# Names.


NAMES = [b"caf\xe9.png", b"two\nlines.png", b"esc\x1b[31m.png", "日本.png".encode(), b"\xff\xfe" * 60 + b".png"]


@pytest.mark.parametrize("name", NAMES, ids=["latin-1", "newline", "escape", "japanese", "long"])
def test_every_name_that_the_system_takes_is_restored(name: bytes, tmp_path: Path) -> None:
    source, target = (tmp_path / folder / os.fsdecode(name) for folder in ("in", "out"))
    source.parent.mkdir()
    try:
        Image.fromarray(noise(4, 5, 3)).save(tmp_path / "it.png")
        (tmp_path / "it.png").rename(source)
    except OSError:
        pytest.skip("this file system does not take the name")
    (outcome,) = run(batch([source], f"{tmp_path}/out/"))
    assert outcome.error is None
    assert outcome.report is not None
    assert first_page(target).pixels.shape == (8, 10, 3)
    assert str(outcome.report.output).isprintable()
    assert json.dumps(outcome.report.output).isascii()
    assert str(outcome.source).isprintable()
