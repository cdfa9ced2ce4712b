"""The networks for pictures: those that somebody named, or those that suit what Toolbox sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from toolbox.errors import SpecError
from toolbox.images.files.reading import PictureFile
from toolbox.images.inspection.inspect import Inspection, inspect_file
from toolbox.images.restore_file import Networks
from toolbox.restorer import Restorer

Load = Callable[[str], Restorer]
UNCHANGED = "unchanged"  # in the place of a model's name


class ChosenNetworks:
    """Chooses the networks for each picture by looking at it.

    Args:
        load: loads a network by its name, once.
        resizes: whether the results have another size.
        sigma: takes the place of the estimated noise.
    """

    def __init__(self, load: Load, *, resizes: bool, sigma: float | None = None) -> None:
        self._load, self.resizes, self.sigma = cache(load), resizes, sigma

    def __call__(self, file: PictureFile) -> Networks:
        return self.choose(inspect_file(file))

    def choose(self, seen: Inspection) -> Networks:
        """The networks for a picture of that kind."""
        choice = seen.choice(resizes=self.resizes, sigma=self.sigma)
        restorers = tuple(self._load(name) for name in choice.models)
        return Networks(restorers, "+".join(choice.models) or UNCHANGED, str(choice))


def named_networks(names: Sequence[str | Path | Restorer], load: Load) -> Networks:
    """Networks in a row, by names, weights files, or as they are."""
    restorers = tuple(each if isinstance(each, Restorer) else load(str(each)) for each in names)
    words = [each.spec.summary or "the network" if isinstance(each, Restorer) else str(each) for each in names]
    return Networks(restorers, "+".join(words))


def sigma_alone(conditions: Mapping[str, Any]) -> float | None:
    """The σ among the conditions that somebody gave without a model.

    Raises:
        SpecError: there is another condition, or a map of σ.
    """
    for name, value in conditions.items():
        if name != "sigma":
            raise SpecError(f"got {name!r} without a model, expected only sigma; name a model that takes it")
        if not isinstance(value, (int, float)):
            raise SpecError("got a map of sigma without a model, expected a number; name a model that takes it")
    return conditions.get("sigma")
