"""Check whether an encoder and a decoder fit together, say why not, and find parts that do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from toolbox.config import Config, Kind, validated
from toolbox.errors import SpecError
from toolbox.registry import Registries
from toolbox.resolve import is_spec, read_spec, resolve, title_of
from toolbox.spec import ArchitectureSpec, DecoderSpec, EncoderSpec

Slot = Literal["encoder", "decoder"]
NOTHING: Mapping[str, str] = {}
OTHER: Mapping[Slot, Slot] = {"encoder": "decoder", "decoder": "encoder"}


@dataclass(frozen=True)
class Verdict:
    """Whether a network fits together."""

    title: str
    data: Any  # the spec, with every setting if it fits
    origins: Mapping[str, str]  # where settings of the encoder or the decoder come from, unless they are defaults
    why: Mapping[str, str]  # faults by place: encoder, decoder, the rest of the spec, or the whole; empty if it fits
    facts: Mapping[str, Any]  # set if the network fits


def judge_pair(encoder: str, decoder: str, registries: Registries) -> Verdict:
    """Check two components for color pictures; an architecture stands for its encoder or decoder.

    Raises:
        UnknownComponent: there is no such component, and no such architecture.
    """
    spec: dict[str, Any] = {"channels": 3}
    origins: dict[str, str] = {}
    for slot, name in zip(OTHER, (encoder, decoder), strict=True):
        spec[slot], origin = settings_of(name, slot, registries)
        if origin:
            origins[slot] = origin
    return judge(f"{encoder} → {decoder}", spec, registries, origins)


def judge_source(source: str, registries: Registries) -> Verdict:
    """Check the network that JSON, a YAML or JSON file, or the name of an architecture describes.

    Raises:
        SpecError: the file or the JSON cannot be read.
        UnknownComponent: there is no such architecture.
    """
    if is_spec(source):
        return judge(title_of(source), read_spec(source), registries)
    return judge(source, registries.architectures[source].spec, registries)


def judge(title: str, data: Any, registries: Registries, origins: Mapping[str, str] = NOTHING) -> Verdict:
    """Check the network of a spec, and describe it or its faults."""
    try:
        spec = resolve(data, registries=registries)
    except SpecError as error:
        return Verdict(title, data, origins, _faults(data, str(error), registries), {})
    encoder, decoder = spec.encoder.config, spec.decoder.config
    facts = {
        "channels": spec.channels,
        "features": encoder.out_channels(spec.encoder_channels),
        "receptive_field": encoder.receptive_field(),
        "sizes": decoder.sizes(),
        "output_channels": spec.decoded_channels,
        **needs_of(spec),
    }
    return Verdict(title, spec.model_dump(mode="json", exclude_unset=True), origins, {}, facts)


def needs_of(spec: ArchitectureSpec) -> dict[str, Any]:
    """The conditions beside the image, how the image is padded, and the multiple at which tiles start."""
    return {
        "conditions": {name: condition.description for name, condition in spec.conditions.items()},
        "padding": asdict(spec.padding),
        "alignment": math.lcm(spec.encoder.config.alignment(), spec.padding.multiple),
    }


def needs_in_words(facts: Mapping[str, Any]) -> dict[str, str]:
    """The facts of ``needs_of`` in words, without those that are as usual."""
    conditions = [f"{name} ({words})" if words else name for name, words in facts["conditions"].items()]
    words = {"is told": ", ".join(conditions)} if conditions else {}
    if facts["padding"]["multiple"] > 1:
        words["padding"] = "sides to multiples of {multiple}, with {mode}".format(**facts["padding"])
    if facts["alignment"] > 1:
        words["tiles"] = f"start at multiples of {facts['alignment']}"
    return words


def _faults(data: Any, whole: str, registries: Registries) -> dict[str, str]:
    """The faults of a spec by place: a part by itself, the rest of the spec, or the joined whole."""

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


def partners_of(part: Any, slot: Slot, channels: int, registries: Registries) -> dict[str, Verdict]:
    """Every component for the other slot, checked with this one."""
    other = OTHER[slot]
    verdicts = {}
    for kind in _kinds(other):
        for info in registries.components[kind]:
            settings, origin = settings_of(info.name, other, registries)
            spec = {"channels": channels, slot: part, other: settings}
            verdicts[info.name] = judge(info.name, spec, registries, {other: origin} if origin else NOTHING)
    return verdicts


def other_partners(verdict: Verdict, registries: Registries) -> dict[str, list[str]]:
    """Other partners for two valid parts that do not fit together."""
    if verdict.why.keys() != {"together"}:
        return {}
    spec, found = verdict.data, {}
    for slot, other in OTHER.items():
        partners = partners_of(spec[slot], slot, spec["channels"], registries)
        found[f"{other}s"] = [name for name, each in partners.items() if not each.why]
    return found


def slot_of(name: str, registries: Registries) -> Slot | None:
    """The slot of a component; None for a spec or the name of an architecture."""
    if name in registries.architectures:
        return None
    for slot in OTHER:
        if any(name in registries.components[kind] for kind in _kinds(slot)):
            return slot
    return None


def _kinds(slot: Slot) -> tuple[Kind, ...]:
    return ("encoder", "recurrent-wrapper") if slot == "encoder" else ("decoder",)


def settings_of(name: str, slot: Slot, registries: Registries) -> tuple[dict[str, Any], str]:
    """The spec of a named component, and the architecture that its settings come from if they are not its defaults.

    Raises:
        UnknownComponent: there is no such component, and no such architecture.
    """
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
        return {"name": name, **info.example}, "its example" if info.example else ""
    return {"name": name}, ""


def _as_data(part: Any) -> dict[str, Any]:
    """A part of an unvalidated spec as a mapping; anything else becomes empty and is refused later."""
    return {"name": part} if isinstance(part, str) else dict(part) if isinstance(part, Mapping) else {}
