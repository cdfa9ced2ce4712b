"""Choose the models for a picture by what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

CLEANER = "photo"  # removes noise and JPEG artifacts
RESIZER = "diinn-lite"  # the model with a size
NOISY = 2.5  # σ of 255 from which a picture is cleaned
COMPRESSED = 90  # JPEG quality up to which a picture is cleaned


@dataclass(frozen=True)
class Choice:
    """The models to run in a row, none for a picture to leave as it is, and the reason in a few words."""

    models: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{self.reason}: {' then '.join(self.models) or 'left as it is'}"


def choose(noise: float, jpeg: int | None, *, resizes: bool) -> Choice:
    """The models for noise of that σ of 255 and JPEG of that quality.

    Args:
        noise: the standard deviation.
        jpeg: 1 to 100, or None for a picture that was never a JPEG.
        resizes: whether the result has another size.
    """
    faults = []
    if noise >= NOISY:
        faults.append(f"noise of σ = {noise:.0f}")
    if jpeg is not None and jpeg <= COMPRESSED:
        faults.append(f"JPEG of quality {jpeg}")
    models = ((CLEANER,) if faults else ()) + ((RESIZER,) if resizes else ())
    return Choice(models, " and ".join(faults) or "clean")
