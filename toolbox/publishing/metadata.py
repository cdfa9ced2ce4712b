"""The metadata of a model card, by which the Hugging Face Hub files a network: YAML in front of the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from toolbox.hub import is_hub_name, parse_hub_name
from toolbox.restorer import Restorer
from toolbox.training.card import protocol_of, scores_of

LIBRARY = "toolbox"
TASK = "image-to-image"
# The hub's own names; a license that has none is `other`, with its name in a field of its own.
LICENSES = (
    *("afl-3.0", "agpl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "cc0-1.0", "cc-by-4.0"),
    *("cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-4.0", "gpl-2.0", "gpl-3.0"),
    *("isc", "lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0", "openrail", "unlicense", "wtfpl", "zlib"),
)


def front_matter(restorer: Restorer, name: str, license_of_weights: str | None) -> str:
    """The metadata of a network between lines of ``---``, as far as its header knows them."""
    record = restorer.training_record
    enlarges = [] if restorer.sizes == "same" else ["super-resolution"]
    fields: dict[str, Any] = {
        "library_name": LIBRARY,
        "pipeline_tag": TASK,
        **_license(license_of_weights),
        "tags": ["image-restoration", *enlarges, restorer.spec.encoder.name, restorer.spec.decoder.name],
        "datasets": list(_datasets(record)),
        "base_model": _base(record),
        "metrics": list(scores_of(record)),
        "model-index": _results(record, name),
    }
    written = yaml.safe_dump({key: value for key, value in fields.items() if value}, sort_keys=False)
    return f"---\n{written}---\n"


def _license(name: str | None) -> dict[str, str]:
    if not name:
        return {}
    known = name.lower().removesuffix("-only").removesuffix("-or-later")
    return {"license": known} if known in LICENSES else {"license": "other", "license_name": name}


def _recipe(record: Mapping[str, Any]) -> Mapping[str, Any]:
    recipe = record.get("recipe")
    return recipe if isinstance(recipe, Mapping) else {}


def _datasets(record: Mapping[str, Any]) -> Iterator[str]:
    """The datasets of the hub among those of the recipe; folders have no page to link to."""
    data = _recipe(record).get("data", ())
    for each in data if isinstance(data, list) else [data]:
        name = each.get("path", "") if isinstance(each, Mapping) and each.get("name") == "huggingface" else ""
        if isinstance(name, str) and name.count("/") == 1 and name[0] not in "./~":
            yield name


def _base(record: Mapping[str, Any]) -> str | None:
    """The repository of the initial weights, if they were from the hub."""
    weights = _recipe(record).get("weights")
    file = weights.get("file") if isinstance(weights, Mapping) else weights
    return parse_hub_name(file).repo if isinstance(file, str) and is_hub_name(file) else None


def _results(record: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The scores as the hub's index of results."""
    results = [
        {
            "task": {"type": TASK, "name": "Image restoration"},
            "dataset": {"type": folder, "name": f"{folder} ({protocol_of(record)})"},
            "metrics": [{"type": metric, "value": value}],
        }
        for metric, scores in scores_of(record).items()
        for folder, value in scores.items()
    ]
    return [{"name": name, "results": results}] if results else []
