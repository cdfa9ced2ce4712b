"""Split many files among the jobs of an array, each file by its name alone."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass

from toolbox.errors import SpecError
from toolbox.images.jobs import Source


@dataclass(frozen=True)
class Shard:
    """One of ``count`` shards, numbered from 1. Files that come or go move no other file to another shard."""

    number: int
    count: int

    def __contains__(self, source: Source) -> bool:
        """Whether a file is of this shard: by its path inside the given folder, wherever that folder is."""
        if source.path is None:
            return self.number == 1
        name = os.fsencode((source.inside / source.path.name).as_posix())
        return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") % self.count == self.number - 1

    def __str__(self) -> str:
        """As it is given."""
        return f"{self.number}/{self.count}"


def parse_shard(text: str) -> Shard:
    """A shard such as ``3/16``, the third of sixteen.

    Raises:
        SpecError: it is none.
    """
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise SpecError(f"got the shard {text!r}, expected NUMBER/COUNT with a number from 1 to COUNT, such as 3/16")
    return Shard(number, count)
