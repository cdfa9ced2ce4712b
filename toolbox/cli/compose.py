"""``toolbox compose``: check whether parts fit together, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolbox.cli.options import Catalog, Json, registries_with

if TYPE_CHECKING:
    from toolbox.composition import Slot, Verdict
    from toolbox.registry import Registries


def compose(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="SPEC | NAME [NAME]",
            help="A spec (JSON, a YAML or JSON file, or an architecture's name), an encoder and a decoder, or one of "
            "the two to see what fits it. An architecture's name also stands for its encoder or decoder.",
        ),
    ],
    catalog: Catalog = None,
    as_json: Json = False,
) -> None:
    """Check whether parts fit together, and why.

    The exit code is 2 if they do not fit. A component that needs settings takes those of an architecture that uses
    it, which is named, or else those of its example.
    """
    from toolbox.composition import judge_pair, judge_source, other_partners, slot_of

    registries = registries_with(catalog)
    if len(words) > 2:
        raise typer.BadParameter(f"got {len(words)} words, expected a spec, or an encoder and a decoder")
    if len(words) == 2:
        verdict = judge_pair(words[0], words[1], registries)
    elif (slot := slot_of(words[0], registries)) is not None:
        _print_partners(words[0], slot, registries, as_json)
        return
    else:
        verdict = judge_source(words[0], registries)
    partners = other_partners(verdict, registries)
    if as_json:
        facts = {"fits": not verdict.why, "why": verdict.why, "settings_of": verdict.origins, "spec": verdict.data}
        facts |= verdict.facts
        typer.echo(json.dumps({**facts, **({"fitting": partners} if verdict.why else {})}, indent=2))
    else:
        _print(verdict, partners)
    if verdict.why:
        raise typer.Exit(2)


def _print_partners(name: str, slot: Slot, registries: Registries, as_json: bool) -> None:
    from toolbox.composition import OTHER, partners_of, settings_of

    part, _ = settings_of(name, slot, registries)
    verdicts = partners_of(part, slot, 3, registries)
    if as_json:
        partners = [{"name": each, "fits": not v.why, "why": v.why, **v.facts} for each, v in verdicts.items()]
        typer.echo(json.dumps({"name": name, "kind": slot, "spec": part, f"{OTHER[slot]}s": partners}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    title = f"{OTHER[slot]}s for {slot} {name}"
    table = Table("name", "fits", "what comes of it", title=title, title_justify="left", box=None, pad_edge=False)
    for each, verdict in verdicts.items():
        comes = "; ".join(verdict.why.values()) if verdict.why else _outcome(verdict.facts)
        origin = "".join(f", as in {origin}" for origin in verdict.origins.values())
        table.add_row(each + origin, "no" if verdict.why else "yes", comes)
    Console(markup=False, highlight=False).print(table)


def _outcome(facts: Mapping[str, Any]) -> str:
    sizes = {"same": "the size of the image", "any": "any size"}.get(facts["sizes"], f"×{facts['sizes']}")
    return f"{facts['features']} channels of features → {facts['output_channels']} channels, {sizes}"


def _print(verdict: Verdict, partners: Mapping[str, list[str]]) -> None:
    from toolbox.composition import needs_in_words

    fits = "fits" if not verdict.why else "does not fit"
    typer.echo(f"{verdict.title}: {fits}")
    for slot in ("encoder", "decoder") if isinstance(verdict.data, Mapping) else ():
        origin = f", as in {verdict.origins[slot]}" if slot in verdict.origins else ""
        fault = f": {verdict.why[slot]}" if slot in verdict.why else ""
        typer.echo(f"  {slot:>9}  {_name(verdict.data.get(slot))}{origin}{fault}")
    if not verdict.why:
        radius = verdict.facts["receptive_field"]
        sees = "the whole image" if radius is None else f"{radius} px around it"
        typer.echo(f"   together  {_outcome(verdict.facts)}; a feature sees {sees}")
        for key, words in needs_in_words(verdict.facts).items():
            typer.echo(f"  {key:>9}  {words}")
        typer.echo(f"       spec  {json.dumps(verdict.data, ensure_ascii=False)}")
    for key in ("together", "spec"):
        if key in verdict.why:
            typer.echo(f"  {key:>9}  {verdict.why[key]}")
    for key, names in partners.items():
        fixed = verdict.data["encoder" if key == "decoders" else "decoder"]
        typer.echo(f"  {key:>9}  that fit {_name(fixed)}: {', '.join(names) or 'none'}")


def _name(part: Any) -> str:
    name = part.get("name") if isinstance(part, Mapping) else part
    return str(name) if name is not None else "missing"
