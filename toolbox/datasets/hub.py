"""Datasets of the Hugging Face Hub, and folders in their format, by the package ``datasets``."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from toolbox.config import Config
from toolbox.errors import ImageError, ToolboxError
from toolbox.images.files.picture import read_pixels
from toolbox.learning import Example
from toolbox.pixels import Array
from toolbox.records import DatasetInfo


class HuggingFaceConfig(Config):
    """Settings of a dataset of the package ``datasets``."""

    path: str = Field(description="a name on the Hub, OWNER/NAME, or a folder with a dataset or pictures")
    subset: str | None = Field(default=None, description="the configuration, if the dataset has several")
    split: str = Field(default="train", description="the split, such as train or train[:100]")
    clean: str = Field(default="image", description="column of the clean pictures: images, or arrays (H, W, C)")
    degraded: str | None = Field(
        default=None, description="column of their partners; null if the recipe's degradations make them"
    )
    conditions: tuple[str, ...] = Field(default=(), description="columns with numbers, such as sigma")


class Rows(Sequence[Example]):
    """The rows of a table, whose pictures are read on demand.

    Image files are stored as they are and read by Toolbox, so that 16 bits stay 16.
    """

    def __init__(self, table: Any, config: HuggingFaceConfig) -> None:
        """``table`` is a ``datasets.Dataset`` whose images are not decoded."""
        self.table, self.config = table, config

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, number: int) -> Example:  # type: ignore[override]  # nobody asks for slices
        row, config, name = self.table[number], self.config, f"{self.config.path}: row {number}"

        def pixels(column: str) -> Array:
            return _pixels(row[column], self.table.features[column], f"{name}, {column}")

        degraded = None if config.degraded is None else pixels(config.degraded)
        return Example(pixels(config.clean), degraded, {key: row[key] for key in config.conditions}, name)


def open_rows(config: HuggingFaceConfig) -> Rows:
    """Open a dataset. One on the Hub is downloaded the first time; code in it is never run.

    Raises:
        ToolboxError: the package ``datasets`` is not installed.
        ImageError: there is no such dataset, or it has no such columns.
    """
    try:
        import datasets
        from datasets.exceptions import DatasetsError
    except ImportError:
        raise ToolboxError(
            "huggingface needs a package that is not installed; pip install 'toolbox-restoration[datasets]'"
        ) from None
    try:
        table = _table(config)
    except (DatasetsError, OSError, ValueError) as error:
        raise ImageError(f"{config.path}: cannot be opened: {' '.join(str(error).split())}") from None
    pictures = [each for each in (config.clean, config.degraded) if each is not None]
    for column in (*pictures, *config.conditions):
        if column not in table.column_names:
            raise ImageError(
                f"{config.path}: got the column {column!r}, expected one of {', '.join(table.column_names)}"
            )
    for column in pictures:
        feature = table.features[column]
        if isinstance(feature, datasets.Image):
            table = table.cast_column(column, datasets.Image(decode=False))
        elif not isinstance(feature, (datasets.Array2D, datasets.Array3D)):
            raise ImageError(f"{config.path}: the column {column!r} holds {feature}, expected images or arrays")
    return Rows(table, config)


def _table(config: HuggingFaceConfig) -> Any:
    """The table of the split: from the folder that ``save_to_disk`` made, or from anything that can be loaded."""
    import datasets

    folder = Path(config.path)
    if (folder / "dataset_dict.json").exists():
        splits = json.loads((folder / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
        if config.split not in splits:
            raise ValueError(f"got the split {config.split!r}, expected one of {', '.join(splits)}")
        return datasets.load_from_disk(str(folder / config.split))
    if (folder / "dataset_info.json").exists():
        return datasets.load_from_disk(str(folder))
    return datasets.load_dataset(config.path, config.subset, split=config.split)


def _pixels(value: Any, feature: Any, name: str) -> Array:
    """The pixels of an image that is not decoded, or of an array with the type of its column."""
    if not isinstance(value, dict):
        return np.asarray(value, getattr(feature, "dtype", None))
    source = Path(value["path"]) if value["bytes"] is None else io.BytesIO(value["bytes"])
    return read_pixels(source, name)


HUGGING_FACE = DatasetInfo(
    name="huggingface",
    open=open_rows,
    config=HuggingFaceConfig,
    summary="a dataset of the Hugging Face Hub, or a folder in the format of the package datasets",
    source="the Python package datasets, which is an extra: pip install 'toolbox-restoration[datasets]'",
)
