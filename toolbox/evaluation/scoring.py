"""Score a restorer on pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from toolbox.evaluation.cases import QUALITY, Sample, find_cases, read_sample
from toolbox.evaluation.patches import restore_in_patches
from toolbox.evaluation.protocols import measure
from toolbox.evaluation.usage import measured
from toolbox.images.engine.run import restore_tensor
from toolbox.records import ProtocolInfo
from toolbox.restorer import Restorer


@dataclass(frozen=True)
class Score:
    """The score of one picture, or the reason why it has none.

    Equality ignores the cost, which is never the same twice.
    """

    picture: str
    scale: float  # 0 if it failed before the size was known
    values: Mapping[str, float]  # by metric; an infinite PSNR for equal pictures; empty after an error
    seconds: float = field(default=0.0, compare=False)
    megapixels: float = 0.0  # of the restored picture
    peak_memory: int | None = field(default=None, compare=False)  # bytes
    notes: tuple[str, ...] = ()
    error: str = ""
    model: str = ""
    sha256: str = ""  # of the picture's files

    @property
    def psnr(self) -> float:
        """The PSNR in dB, which every built-in protocol has."""
        return self.values["psnr"]


def score_folder(
    restorer: Restorer,
    folder: Path,
    protocol: ProtocolInfo,
    sigma: float = 25,
    low: str | None = None,
    scales: Sequence[float] = (),
    quality: int = QUALITY,
) -> Iterator[Score]:
    """Yield the score of each picture of a folder; the arguments are those of ``find_cases``.

    Raises:
        ImageError: a picture cannot be read or restored.
    """
    for case in find_cases(folder, protocol, low, scales):
        yield score_picture(restorer, case.original.name, read_sample(case, protocol, sigma, quality), protocol)[0]


def score_picture(
    restorer: Restorer, name: str, sample: Sample, protocol: ProtocolInfo, metrics: Sequence[str] | None = None
) -> tuple[Score, Tensor]:
    """Restore and compare one picture; return the score and the restored picture (1, C, H, W) in [0, 1].

    ``metrics`` are names from ``metrics_of``; by default the protocol's own.

    Raises:
        ImageError: the picture cannot be restored or compared.
        SpecError: the restorer does not do that size, or lacks a condition.
    """
    height, width = sample.original.shape[-2:]
    conditions = {name: value for name, value in sample.conditions.items() if name in restorer.spec.conditions}
    with measured(restorer.mean.device) as cost:
        if protocol.patches:
            restored = restore_in_patches(restorer, sample.degraded, (height, width), *protocol.patches, conditions)
        else:
            restored = restore_tensor(restorer, sample.degraded, size=(height, width), conditions=conditions)
    restored = restored.to(sample.original)
    values = measure(protocol, restored, sample.original, sample.degraded, sample.scale, metrics)
    notes = sample.notes
    if math.inf in values.values():
        notes += ("identical to the original: its PSNR is infinite, and left out of the mean",)
    megapixels = height * width / 1e6
    return Score(name, sample.scale, values, cost.seconds, megapixels, cost.peak_memory, notes), restored
