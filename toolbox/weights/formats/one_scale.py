"""Files of ``toolbox export --to spandrel``: a network of ours, which takes any scale again."""

from __future__ import annotations

import torch

from toolbox.config import Config
from toolbox.conversion import Checkpoint, Conversion
from toolbox.errors import SpecError, WeightsError
from toolbox.programs.one_scale import PREFIX, TEXTS, spec_of
from toolbox.records import ConverterInfo
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.weights.file import printable


class OneScaleHints(Config):
    """No settings: the file holds the spec."""


def _plan(checkpoint: Checkpoint, hints: OneScaleHints) -> Conversion:
    data = spec_of(checkpoint.tensors)
    try:
        with torch.device("meta"):
            names = Restorer(resolve(data)).state_dict().keys()
    except SpecError as error:
        raise WeightsError(f"its spec is not valid here: {printable(str(error))}") from None
    unused = {name for name in checkpoint.tensors if name.endswith("num_batches_tracked")}
    return Conversion(data, {name: f"{PREFIX}{name}" for name in names}, frozenset(unused | {TEXTS}))


ONE_SCALE_FORMAT = ConverterInfo(
    name="toolbox-spandrel",
    recognize=lambda checkpoint: TEXTS in checkpoint.tensors,
    plan=_plan,
    hints=OneScaleHints,
    summary="files of `toolbox export --to spandrel`, with any scale again",
    url="https://github.com/chaiNNer-org/spandrel",
)
