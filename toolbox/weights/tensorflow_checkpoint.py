"""Read TensorFlow checkpoints with tensorflow, which the extra ``tensorflow`` installs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toolbox.errors import WeightsError


def read_variables(path: Path) -> dict[str, Tensor]:
    """Read the variables of a checkpoint by name. ``path`` is its prefix, without .index.

    It leaves out optimizer slots and counters.

    Raises:
        WeightsError: tensorflow is not installed, or cannot read the checkpoint.
    """
    try:
        import tensorflow
    except ImportError:
        raise WeightsError(
            f"{path}: is a TensorFlow checkpoint, which needs tensorflow; pip install 'toolbox-restoration[tensorflow]'"
        ) from None
    try:
        reader = tensorflow.train.load_checkpoint(str(path))
        names = [
            name for name in reader.get_variable_to_shape_map() if "Adam" not in name and "global_step" not in name
        ]
        arrays = {name: np.asarray(reader.get_tensor(name)) for name in names}
    # TensorFlow's own exceptions share no base class worth naming here.
    except Exception as error:
        raise WeightsError(f"{path}: not readable by tensorflow: {str(error).splitlines()[0]}") from None
    return {name: torch.from_numpy(array) for name, array in arrays.items() if array.dtype.kind == "f" and array.ndim}
