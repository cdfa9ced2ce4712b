"""Mutants of a weights file, drawn from a seed; run as a program, it loads many of them and tells what happened.

    python -m tests.weights.mutations FILE COUNT SEED

It is a process of its own, since its peak of memory is measured. Printed is JSON: how many mutants of each kind were
read and refused, what else was raised, and by how many bytes memory rose.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import toolbox
from toolbox.errors import WeightsError
from toolbox.weights.file import HEADER_LIMIT

Draw = random.Random

NUMBERS = (0, 1, -1, 3, 4, 255, 1000, 10**6, 2**31, 2**63, 2**64, 10**30, 0.5, 1e308, float("nan"), float("inf"))
SHAPES: tuple[Any, ...] = ([], [0], [4, 3, 3], [-1], [2**32, 2**32], [2**62] * 3, [10**6] * 4, [1] * 1000, [1.5])
OFFSETS: tuple[Any, ...] = ([0, 0], [8, 4], [-4, 0], [0, 2**40], [0, 2**64], [0], [0, 4, 8], [1, 5], "0:4")
OTHERS: tuple[Any, ...] = (None, True, "", "4", "edsr", "Ā" * 500, "\x1b[2J\n", [], {}, {"name": "rdn"}, [[]] * 500)
# As bytes of JSON, which its writer would not write.
RAW = (b"NaN", b"-Infinity", b"1e999", b"0x10", b"[" * 3000, b'{"a":' * 3000, b"9" * 5000, b'"\xff\xfe"', b'"\\ud800"')
DTYPES = (
    *("BOOL", "U8", "I8", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "F64", "I64", "U64", "C64"),
    *("F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F6_E2M3", "F6_E3M2", "F4", "f32", "F999"),
)


class Original:
    """A weights file in order: its header as JSON, and the bytes of its tensors."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.length = int.from_bytes(data[:8], "little")
        self.header = data[8 : 8 + self.length]
        self.body = data[8 + self.length :]

    def with_header(self, header: bytes) -> bytes:
        """The file with another header, whose length is right."""
        return len(header).to_bytes(8, "little") + header + self.body


def length_field(original: Original, draw: Draw) -> bytes:
    """The length of the header is not what it says."""
    near, far = original.length + draw.randint(-16, 16), draw.choice((0, 1, HEADER_LIMIT, 10**9, 2**63, 2**64 - 1))
    number = draw.choice((near, far, original.length ^ (1 << draw.randrange(64))))
    return number.to_bytes(8, "little") + original.data[8:]


def bits(original: Original, draw: Draw) -> bytes:
    """Bits are flipped."""
    header = bytearray(original.header)
    for _ in range(draw.choice((1, 1, 2, 8))):
        header[draw.randrange(len(header))] ^= 1 << draw.randrange(8)
    return original.with_header(bytes(header))


def cut_off(original: Original, draw: Draw) -> bytes:
    """The file, or its header, ends too early, or goes on."""
    whole = original.data + draw.randbytes(draw.randrange(20))
    ends = whole[: draw.randrange(len(whole))]
    return draw.choice((whole, ends, original.with_header(original.header[: draw.randrange(original.length)])))


def bytes_moved(original: Original, draw: Draw) -> bytes:
    """Some bytes are taken out, doubled, or replaced by what is no UTF-8."""
    start = draw.randrange(original.length)
    stop = min(start + draw.randrange(40), original.length)
    before, part, after = original.header[:start], original.header[start:stop], original.header[stop:]
    return original.with_header(before + draw.choice((b"", part + part, b"\xc3\x28", b"\xff", b"\x00")) + after)


def tensor_entry(original: Original, draw: Draw) -> bytes:
    """A tensor has another type, shape or place, or another name."""
    header = json.loads(original.header)
    name = draw.choice([name for name in header if name != "__metadata__"])
    key = draw.choice(("dtype", "shape", "data_offsets", "name", "tomorrow"))
    choices = {"dtype": DTYPES, "shape": SHAPES, "data_offsets": OFFSETS}.get(key, OTHERS)
    value = draw.choice((*choices, *OTHERS)) if draw.random() < 0.3 else draw.choice(choices)
    if key == "name":
        header[value if isinstance(value, str) else str(value)] = header.pop(name)
    else:
        header[name][key] = value
    return original.with_header(json.dumps(header).encode())


def other_type(original: Original, draw: Draw) -> bytes:
    """Every tensor is of another type, with its bytes in order."""
    header, kind = json.loads(original.header), draw.choice(DTYPES)
    size = {"8": 1, "L": 1, "6": 2, "2": 4, "4": 8}.get(kind.rstrip("Z")[-1], 1) if "_" not in kind else 1
    place = 0
    for name, entry in header.items():
        if name != "__metadata__":
            count = (entry["data_offsets"][1] - entry["data_offsets"][0]) // 4
            entry |= {"dtype": kind, "data_offsets": [place, place := place + size * count]}
    changed = Original(original.with_header(json.dumps(header).encode()))
    return changed.data[: 8 + changed.length] + bytes(place)


def spec(original: Original, draw: Draw) -> bytes:
    """A value of the spec, at any depth, is another one."""
    metadata = _metadata(original)
    data = json.loads(metadata["toolbox.spec"])
    where: Any = data
    while True:
        key = draw.choice(list(where))
        if not (isinstance(where[key], dict) and where[key] and draw.random() < 0.8):
            break
        where = where[key]
    value = draw.choice(draw.choice((NUMBERS, OTHERS, ([10**6] * 50, [4] * 3000, [0] * 3000, [0.5] * 3000))))
    where[draw.choice((key, key, key, f"{key}s"))] = value
    return _with_metadata(original, {**metadata, "toolbox.spec": json.dumps(data)})


def large_spec(original: Original, draw: Draw) -> bytes:
    """The spec is of a network that is far larger than the file."""
    metadata = _metadata(original)
    data = json.loads(metadata["toolbox.spec"])
    many = draw.choice((10**3, 10**6, 10**9, 2**40))
    change: dict[str, Any] = draw.choice(
        (
            {"encoder": {**data["encoder"], "channels": many}},
            {"encoder": {**data["encoder"], "blocks": 1000}},
            {"decoder": {"name": "dual-interactive", "hidden": [many] * 1000}},
            {"channels": many},
            {"encoder": {"name": "rdn", "channels": 8, "blocks": 1000, "layers": 1000, "growth": many}},
            {"encoder": {"name": "recurrent", "steps": 1000, "transition": {"name": "nonlocal-residual"}}},
        )
    )
    return _with_metadata(original, {**metadata, "toolbox.spec": json.dumps({**data, **change})})


def metadata(original: Original, draw: Draw) -> bytes:
    """An entry of the metadata is missing, or is another text, or no text."""
    changed: dict[str, Any] = _metadata(original)
    key = draw.choice([*changed, "toolbox.training", "toolbox.format"])
    texts = (*(json.dumps(value) for value in (*NUMBERS, *OTHERS)), "[" * 5000, "2", "{'a': 1}", '{"a": {}}', "NaN")
    if draw.random() < 0.2:
        changed.pop(key, None)
    else:
        changed[key] = draw.choice((draw.choice(texts), draw.choice(texts), draw.choice(OTHERS)))
    return _with_metadata(original, changed)


def raw_json(original: Original, draw: Draw) -> bytes:
    """A value of the header is what no JSON writer writes, at any place that has one."""
    places = [i + 1 for i, byte in enumerate(original.header) if byte in b":,["]
    place = draw.choice(places)
    end = draw.choice((place, min(original.header.find(sign, place) % (original.length + 1) for sign in b",}]")))
    return original.with_header(original.header[:place] + draw.choice(RAW) + original.header[end:])


def duplicates(original: Original, draw: Draw) -> bytes:
    """A key is there twice, with two values."""
    header = json.loads(original.header)
    key = draw.choice(list(header))
    value = draw.choice((header[key], header[draw.choice(list(header))], *OTHERS))
    more = json.dumps({key: value})[1:-1].encode()
    return original.with_header(b"{" + more + b"," + original.header.lstrip()[1:])


def full_headers(original: Original) -> tuple[bytes, ...]:
    """Headers as long as they may be, of as many things as go into them."""
    header, end = json.loads(original.header), len(original.body)
    tensor = {"dtype": "F32", "shape": [0], "data_offsets": [end, end]}
    tensors = {f"t{i}": tensor for i in range(HEADER_LIMIT // 76)}
    entries = {**_metadata(original), **{f"t{i}": "" for i in range(HEADER_LIMIT // 17)}}
    lists = {**_metadata(original), "toolbox.training": f'{{"a": [{"[]," * (HEADER_LIMIT // 4)}[]]}}'}
    crowded = original.with_header(json.dumps({**header, **tensors}).encode())
    return crowded, _with_metadata(original, entries), _with_metadata(original, lists)


def _metadata(original: Original) -> dict[str, str]:
    found: dict[str, str] = json.loads(original.header)["__metadata__"]
    return found


def _with_metadata(original: Original, metadata: dict[str, Any]) -> bytes:
    return original.with_header(json.dumps({**json.loads(original.header), "__metadata__": metadata}).encode())


KINDS: tuple[Callable[[Original, Draw], bytes], ...] = (
    *(length_field, bits, cut_off, bytes_moved, tensor_entry, other_type),
    *(spec, large_spec, metadata, raw_json, duplicates),
)


def main(path: Path, count: int, seed: int) -> None:
    original, mutant = Original(path.read_bytes()), path.with_name("mutant.safetensors")
    toolbox.load(path)
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
    outcomes: Counter[str] = Counter()
    wrong = []

    def try_out(kind: str, data: bytes) -> None:
        mutant.write_bytes(data)
        try:
            toolbox.load(mutant)
            outcomes[f"{kind} read"] += 1
        except WeightsError as error:
            outcomes[f"{kind} refused"] += 1
            sentence = str(error)
            if not (sentence.startswith(f"{mutant}: ") and sentence.isprintable() and len(sentence) < 3000):
                wrong.append(f"{kind}, {sum(outcomes.values())}: {len(sentence)} characters: {sentence[:300]!r}")
        except BaseException as error:
            wrong.append(f"{kind}, {sum(outcomes.values())}: {type(error).__name__}: {str(error)[:300]}")

    for number in range(count):
        round_, place = divmod(number, len(KINDS))
        kind = KINDS[place]
        if kind is large_spec and round_ % 4:  # which takes as long as all others together
            kind = spec
        try_out(kind.__name__, kind(original, random.Random(seed + number)))  # noqa: S311  # not for cryptography
    for data in full_headers(original):
        try_out("full_headers", data)
    print(json.dumps({"outcomes": outcomes, "wrong": wrong, "memory": _memory("VmHWM") - before}))  # noqa: T201  # for the test


def _memory(key: str) -> int:
    """Bytes of this process, by a line of Linux's /proc/self/status."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
