"""The networks that are ready to run: what they are for, how good they are, and how fast here."""

from __future__ import annotations

from typing import Any

from toolbox.images.engine.plan import make_plan
from toolbox.images.engine.request import Geometry, Request
from toolbox.registry import Registries
from toolbox.restorer import Restorer

CLEAN, RESIZE = "keep the size", "give any size"
SIDE = 500  # pixels of the picture that the time is estimated for


def ready_names(registries: Registries) -> list[str]:
    """The names of the architectures that have weights."""
    return [each.name for each in registries.architectures if each.weights]


def ready_record(name: str, summary: str, restorer: Restorer) -> dict[str, Any]:
    """What a program needs to know about a network that has weights, as ``toolbox models --json`` prints it.

    The time is an estimate for this machine, in seconds per megapixel of the result.
    """
    sizes = restorer.sizes
    request = Request(Geometry(scale=2 if sizes == "any" else None))
    plan = make_plan(restorer, (3, SIDE, SIDE), request, estimate_small=True)
    purposes = {"same": CLEAN, "any": RESIZE}
    return {
        "name": name,
        "purpose": purposes.get(str(sizes), f"enlarge {sizes} times"),
        "sizes": sizes,
        "summary": summary,
        "protocol": restorer.training_record.get("protocol"),
        "psnr": restorer.training_record.get("psnr", {}),
        "seconds_per_megapixel": round((plan.seconds or 0) / (plan.size[0] * plan.size[1] / 1e6), 2),
    }
