"""A plugin of Toolbox: drawn checkerboards as a dataset."""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from toolbox.plugin import Config, DatasetInfo, Example, hookimpl

TOOLBOX_API = 1


class MinimalConfig(Config):
    """Settings of the dataset."""

    count: int = Field(default=1000, gt=0, description="number of pictures")
    side: int = Field(default=128, gt=0, description="side of a picture, in pixels")


class Minimal(Sequence[Example]):
    """Checkerboards of two random colors. Each is drawn when it is asked for."""

    def __init__(self, config: MinimalConfig) -> None:
        self.config = config

    def __len__(self) -> int:
        return self.config.count

    def __getitem__(self, number: int) -> Example:  # type: ignore[override]  # nobody asks for slices
        random = np.random.default_rng(number)
        colors = random.integers(0, 256, (2, 3), dtype=np.uint8)
        width = random.integers(2, 16)
        rows, columns = np.indices((self.config.side, self.config.side)) // width
        return Example(clean=colors[(rows + columns) % 2], name=f"checkerboard {number}")  # (H, W, 3)


@hookimpl
def toolbox_datasets() -> list[DatasetInfo]:
    """A training recipe can name these datasets."""
    return [DatasetInfo("minimal", Minimal, MinimalConfig, "drawn checkerboards", "none: an example")]
