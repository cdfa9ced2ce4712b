"""``toolbox compose``: what fits together, what does not, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from toolbox.cli.options import Catalog, Json, registries_with

if TYPE_CHECKING:
    from toolbox.config import Kind
    from toolbox.registry import Registries

Slot = Literal["encoder", "decoder"]
NOTHING: Mapping[str, str] = {}
OTHER: Mapping[Slot, Slot] = {"encoder": "decoder", "decoder": "encoder"}


@dataclass(frozen=True)
class Verdict:
    """Whether a network fits together."""

    title: str
    data: Any  # the spec, with every setting if it fits
    origins: Mapping[str, str]  # the architectures that settings of the encoder or the decoder were taken from
    why: Mapping[str, str]  # what is wrong with the encoder, decoder, rest of the spec, or all together; empty: it fits
    facts: Mapping[str, Any]  # of a network that fits


def compose(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="SPEC | NAME [NAME]",
            help="A YAML file, JSON, or an architecture's name; an encoder and a decoder; or one of them, to see "
            "what fits it. An architecture also stands for its encoder or decoder.",
        ),
    ],
    catalog: Catalog = None,
    as_json: Json = False,
) -> None:
    """Tell what fits together and why; exit code 2 when it does not.

    A component that cannot do without settings takes those of an architecture that uses it, which is named.
    """
    registries = registries_with(catalog)
    if len(words) > 2:
        raise typer.BadParameter(f"got {len(words)} words, expected a spec, or an encoder and a decoder")
    if len(words) == 2:
        pair = {slot: _settings(word, slot, registries) for word, slot in zip(words, OTHER, strict=True)}
        spec: dict[str, Any] = {"channels": 3}
        spec |= {slot: settings for slot, (settings, _) in pair.items()}
        origins: dict[str, str] = {slot: origin for slot, (_, origin) in pair.items() if origin}
        verdict = _judge(f"{words[0]} → {words[1]}", spec, registries, origins)
    elif (slot := _slot(words[0], registries)) is not None:
        _list_partners(words[0], slot, registries, as_json)
        return
    else:
        verdict = _judge(*_read(words[0], registries), registries)
    partners = _partners_instead(verdict, registries)
    if as_json:
        facts = {"fits": not verdict.why, "why": verdict.why, "settings_of": verdict.origins, "spec": verdict.data}
        facts |= verdict.facts
        typer.echo(json.dumps({**facts, **({"fitting": partners} if verdict.why else {})}, indent=2))
    else:
        _print(verdict, partners)
    if verdict.why:
        raise typer.Exit(2)


def _slot(name: str, registries: Registries) -> Slot | None:
    """Where a component goes; None for what is a spec, or an architecture's name."""
    if name in registries.architectures:
        return None
    for slot in OTHER:
        if any(name in registries.components[kind] for kind in _kinds(slot)):
            return slot
    return None


def _kinds(slot: Slot) -> tuple[Kind, ...]:
    return ("encoder", "recurrent-wrapper") if slot == "encoder" else ("decoder",)


def _read(source: str, registries: Registries) -> tuple[str, Any]:
    """What the one word stands for: a title and the spec as data."""
    from toolbox.catalog import read_yaml
    from toolbox.errors import SpecError

    if source.lstrip().startswith("{"):
        try:
            return "the spec", json.loads(source)
        except ValueError as error:
            raise SpecError(f"not valid JSON: {error}") from None
    if source.endswith((".yaml", ".yml")):
        return source, read_yaml(Path(source))
    return source, registries.architectures[source].spec


def _settings(name: str, slot: Slot, registries: Registries) -> tuple[dict[str, Any], str]:
    """The spec of a component by its name, and the architecture that its settings are of, unless they are its defaults.

    Raises:
        UnknownComponent: there is no such component, and no such architecture.
    """
    from toolbox.config import validated
    from toolbox.errors import SpecError

    kinds = _kinds(slot)
    if not any(name in registries.components[kind] for kind in kinds) and name in registries.architectures:
        return _as_data(registries.architectures[name].spec.get(slot)), name
    info = registries.component(kinds, name)
    try:
        validated(info.config, {}, registries)
    except SpecError:
        for architecture in registries.architectures:
            part = _as_data(architecture.spec.get(slot))
            if part.get("name") == name:
                return part, architecture.name
    return {"name": name}, ""


def _as_data(part: Any) -> dict[str, Any]:
    """A part of a spec that nobody has validated, as a mapping; what is none is empty, and refused later."""
    return {"name": part} if isinstance(part, str) else dict(part) if isinstance(part, Mapping) else {}


def _judge(title: str, data: Any, registries: Registries, origins: Mapping[str, str] = NOTHING) -> Verdict:
    from toolbox.errors import SpecError
    from toolbox.resolve import resolve

    try:
        spec = resolve(data, registries=registries)
    except SpecError as error:
        return Verdict(title, data, origins, _faults(data, str(error), registries), {})
    encoder, decoder = spec.encoder.config, spec.decoder.config
    facts = {
        "channels": spec.channels,
        "features": encoder.out_channels(spec.channels),
        "receptive_field": encoder.receptive_field(),
        "sizes": decoder.sizes(),
        "output_channels": spec.decoded_channels,
    }
    return Verdict(title, spec.model_dump(mode="json", exclude_unset=True), origins, {}, facts)


def _faults(data: Any, whole: str, registries: Registries) -> dict[str, str]:
    """What is wrong, and where: in a part by itself, in the rest of the spec, or in how all goes together."""
    from toolbox.config import Config, validated
    from toolbox.errors import SpecError
    from toolbox.resolve import resolve
    from toolbox.spec import DecoderSpec, EncoderSpec

    class Encoder(Config):
        encoder: EncoderSpec

    class Decoder(Config):
        decoder: DecoderSpec

    if not isinstance(data, Mapping):
        return {"spec": whole}
    why = {}
    for slot, model in (("encoder", Encoder), ("decoder", Decoder)):
        try:
            validated(model, {slot: data[slot]} if slot in data else {}, registries)
        except SpecError as error:
            why[slot] = str(error).removeprefix(f"{slot}: ")
    try:
        resolve({**data, "encoder": "identity", "decoder": "residual-conv"}, registries=registries)  # these always join
    except SpecError as error:
        why["spec"] = str(error)
    return why or {"together": whole}


def _partners(part: Any, slot: Slot, channels: int, registries: Registries) -> dict[str, Verdict]:
    """Every component of the other slot with this one."""
    other = OTHER[slot]
    verdicts = {}
    for kind in _kinds(other):
        for info in registries.components[kind]:
            settings, origin = _settings(info.name, other, registries)
            spec = {"channels": channels, slot: part, other: settings}
            verdicts[info.name] = _judge(info.name, spec, registries, {other: origin} if origin else NOTHING)
    return verdicts


def _partners_instead(verdict: Verdict, registries: Registries) -> dict[str, list[str]]:
    """Where both parts are right but do not join: what either of them could be joined to."""
    if verdict.why.keys() != {"together"}:
        return {}
    spec, found = verdict.data, {}
    for slot, other in OTHER.items():
        partners = _partners(spec[slot], slot, spec["channels"], registries)
        found[f"{other}s"] = [name for name, each in partners.items() if not each.why]
    return found


def _list_partners(name: str, slot: Slot, registries: Registries, as_json: bool) -> None:
    part, _ = _settings(name, slot, registries)
    verdicts = _partners(part, slot, 3, registries)
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
    fits = "fits" if not verdict.why else "does not fit"
    typer.echo(f"{verdict.title}: {fits}")
    for slot in OTHER if isinstance(verdict.data, Mapping) else ():
        origin = f", as in {verdict.origins[slot]}" if slot in verdict.origins else ""
        fault = f": {verdict.why[slot]}" if slot in verdict.why else ""
        typer.echo(f"  {slot:>9}  {_name(verdict.data.get(slot))}{origin}{fault}")
    if not verdict.why:
        radius = verdict.facts["receptive_field"]
        sees = "the whole image" if radius is None else f"{radius} px around it"
        typer.echo(f"   together  {_outcome(verdict.facts)}; a feature sees {sees}")
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
