"""Files of ``toolbox export --to spandrel``: a network of ours, which takes any scale again."""

from __future__ import annotations

from toolbox.config import Config
from toolbox.conversion import Checkpoint, Conversion
from toolbox.programs.one_scale import PREFIX, TEXTS, spec_of
from toolbox.records import ConverterInfo


class OneScaleHints(Config):
    """No settings: the file holds the spec."""


def _plan(checkpoint: Checkpoint, hints: OneScaleHints) -> Conversion:
    counters = {name for name in checkpoint.tensors if name.endswith("num_batches_tracked")}
    names = checkpoint.tensors.keys() - counters - {TEXTS}
    sources = {name.removeprefix(PREFIX): name for name in names}
    return Conversion(spec_of(checkpoint.tensors), sources, frozenset(counters | {TEXTS}))


ONE_SCALE_FORMAT = ConverterInfo(
    name="toolbox-spandrel",
    recognize=lambda checkpoint: TEXTS in checkpoint.tensors,
    plan=_plan,
    hints=OneScaleHints,
    summary="files of `toolbox export --to spandrel`, with any scale again",
)
