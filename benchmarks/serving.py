"""Measure `toolbox serve` under load and attack, and what a file costs besides its network, in one table.

    python benchmarks/serving.py                              # 200 clients for a minute; some minutes in all
    python benchmarks/serving.py --clients 20 --seconds 10

Most clients restore small pictures and come back when the server says so. Some of them are slow, go away in the midst
of their upload or before their answer, send half of a form, or a bomb. The script prints the table and writes
serving.json to the folder `out`. It fails if a client got no answer, or if the server left a file behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil
import torch
from PIL import Image

import toolbox
from toolbox.images.engine.run import restore_tensor

MODEL = "photo"
SIDE = 96  # pixels of a picture under load
FILES, FILE_SIDE = 64, 256  # pictures of a run over files
BOMB = Image.new("L", (12_000, 12_000))  # 144 megapixels of zeros, in a few kilobytes


@dataclass
class Load:
    """What the clients saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)  # of answers with a picture
    memory: list[tuple[float, float]] = field(default_factory=list)  # MB of the server and of its worker


def picture(side: int, seed: int = 0) -> Image.Image:
    """A smooth picture with noise."""
    rows, columns = np.mgrid[:side, :side]
    smooth = np.stack([128 + 90 * np.sin(rows / 9 + shift) * np.cos(columns / 7) for shift in range(3)], 2)
    noise = np.random.default_rng(seed).normal(0, 15, smooth.shape)
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))


def png(image: Image.Image, folder: Path) -> bytes:
    """The bytes of a PNG file."""
    path = folder / "one.png"
    image.save(path)
    return path.read_bytes()


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A running server with its temporary files in the folder; its address, and its process."""
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "toolbox", "serve", "--port", "0", "--no-open", "--threads", "1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None  # noqa: S101  # a pipe
            url = process.stdout.readline().split()[2]
            while httpx.get(f"{url}api/models", timeout=120).is_error:
                time.sleep(1)
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


async def load(url: str, process: psutil.Process, clients: int, seconds: float, folder: Path) -> Load:
    """Let clients come for a while, friendly and not."""
    seen, end = Load(), time.monotonic() + seconds
    small, bomb = png(picture(SIDE), folder), png(BOMB, folder)
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client, asyncio.TaskGroup() as group:
        for number in range(clients):
            kind = (slow, leave_early, leave_late, truncated, bombing)[number] if number < 5 else restore
            data = bomb if kind is bombing else small
            group.create_task(_again(kind, client, data, seen, end))
        while time.monotonic() < end:
            seen.memory.append(memory(process))
            await asyncio.sleep(0.5)
    return seen


Client = Callable[[httpx.AsyncClient, bytes, Load], Awaitable[None]]


async def _again(kind: Client, client: httpx.AsyncClient, data: bytes, seen: Load, end: float) -> None:
    while time.monotonic() < end:
        try:
            await kind(client, data, seen)
        except httpx.TransportError as error:
            seen.statuses[f"{kind.__name__}: {type(error).__name__}"] += 1


async def restore(client: httpx.AsyncClient, data: bytes, seen: Load) -> None:
    """Restore a picture, and come back later if the server has no room."""
    began = time.monotonic()
    answer = await client.post("/api/restore", files={"picture": ("a.png", data)}, data={"model": MODEL})
    seen.statuses[f"restore: {answer.status_code}"] += 1
    if answer.status_code == httpx.codes.OK:
        seen.seconds.append(time.monotonic() - began)
    else:
        await asyncio.sleep(float(answer.headers.get("Retry-After", 1)) * random.uniform(0.5, 1.5))  # noqa: S311


async def bombing(client: httpx.AsyncClient, data: bytes, seen: Load) -> None:
    """Send a picture of few bytes and many pixels."""
    answer = await client.post("/api/restore", files={"picture": ("a.png", data)})
    seen.statuses[f"bombing: {answer.status_code}"] += 1
    await asyncio.sleep(1)


async def truncated(client: httpx.AsyncClient, data: bytes, seen: Load) -> None:
    """Send a form without its end."""
    body = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n' + data
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await client.post("/api/restore", content=body, headers=headers)
    seen.statuses[f"truncated: {answer.status_code}"] += 1
    await asyncio.sleep(0.2)


async def slow(client: httpx.AsyncClient, data: bytes, seen: Load) -> None:
    """Send a form byte by byte."""

    async def body() -> object:
        yield b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n'
        for byte in data[:50]:
            yield bytes([byte])
            await asyncio.sleep(0.1)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await client.post("/api/restore", content=body(), headers=headers)  # type: ignore[arg-type]  # a generator
    seen.statuses[f"slow: {answer.status_code}"] += 1


async def leave_early(client: httpx.AsyncClient, data: bytes, seen: Load) -> None:
    """Go away in the midst of an upload."""
    _, write = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    head = "POST /api/restore HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    write.write(f"{head}Content-Length: 99999\r\n\r\n".encode() + data[:1000])
    await write.drain()
    write.close()
    seen.statuses["leave_early: gone"] += 1
    await asyncio.sleep(0.2)


async def leave_late(client: httpx.AsyncClient, data: bytes, seen: Load) -> None:
    """Go away before the answer."""
    try:
        answer = await client.post("/api/restore", files={"picture": ("a.png", data)}, timeout=0.2)
        seen.statuses[f"leave_late: {answer.status_code}"] += 1
    except httpx.TimeoutException:
        seen.statuses["leave_late: gone"] += 1
    await asyncio.sleep(2)


def memory(process: psutil.Process) -> tuple[float, float]:
    """Megabytes of the server and of its worker."""
    worker = 0.0
    for child in process.children():
        try:
            worker += child.memory_info().rss
        except psutil.NoSuchProcess:  # one that was just killed
            continue
    return process.memory_info().rss / 1e6, worker / 1e6


def files_a_second(folder: Path, workers: int) -> float:
    """Files a second of `toolbox restore` over many files, without its start."""
    source, target = folder / "source", folder / f"out-{workers}"
    source.mkdir(exist_ok=True)
    for number in range(FILES):
        picture(FILE_SIDE, number).save(source / f"{number}.png")
    command = [sys.executable, "-m", "toolbox", "restore", str(source), "-o", f"{target}/", "-m", MODEL, "--json"]
    done = subprocess.run([*command, "--workers", str(workers)], check=True, capture_output=True, text=True)
    return float(FILES / json.loads(done.stdout)["seconds"])


def seconds_of_the_network() -> float:
    """Median time of the bare network for one of these pictures."""
    restorer = toolbox.load(MODEL)
    image = torch.from_numpy(np.asarray(picture(FILE_SIDE), np.float32) / 255).permute(2, 0, 1)[None]
    times = []
    for _ in range(9):
        began = time.monotonic()
        restore_tensor(restorer, image, (FILE_SIDE, FILE_SIDE))
        times.append(time.monotonic() - began)
    return statistics.median(times)


def rows(seen: Load, seconds: float, folder: Path) -> list[tuple[str, str]]:
    """The lines of the table."""
    served, workers = len(seen.seconds), {count: files_a_second(folder, count) for count in (1, 2)}
    network, half = seconds_of_the_network(), len(seen.memory) // 2
    lines = [
        ("pictures restored", f"{served / seconds:.1f} a second"),
        ("all answers", f"{sum(seen.statuses.values()) / seconds:.1f} a second"),
        ("median and longest time to a picture", f"{statistics.median(seen.seconds):.2f} s, {max(seen.seconds):.2f} s"),
    ]
    for name, index in (("server", 0), ("worker", 1)):
        early, late = (max(each[index] for each in part) for part in (seen.memory[:half], seen.memory[half:]))
        lines.append((f"most memory of the {name}, first and second half", f"{early:.0f} MB, {late:.0f} MB"))
    lines += [(f"files with {count} workers", f"{rate:.2f} a second") for count, rate in workers.items()]
    lines.append(
        (
            "overhead of a file besides its network",
            f"{1000 * (1 / workers[1] - network):.0f} ms of {1000 * network:.0f}",
        )
    )
    return lines


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--out", type=Path, default=Path("out"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, temporary = Path(name), Path(name) / "temporary"
        temporary.mkdir()
        with server(temporary) as (url, process):
            seen = asyncio.run(load(url, process, given.clients, given.seconds, folder))
        left = list(temporary.iterdir())
        lines = rows(seen, given.seconds, folder)
    print("| measured | result |\n|---|---|")
    for what, result in lines:
        print(f"| {what} | {result} |")
    print("\n" + "\n".join(f"{count:6} {status}" for status, count in sorted(seen.statuses.items())))
    given.out.mkdir(exist_ok=True)
    report = {"table": lines, "statuses": seen.statuses, "memory": seen.memory}
    (given.out / "serving.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    unanswered = [status for status in seen.statuses if "Error" in status or status.endswith(("500", "503"))]
    if unanswered or left:
        sys.exit(f"left behind: {left}; without an answer: {unanswered}")


if __name__ == "__main__":
    main()
