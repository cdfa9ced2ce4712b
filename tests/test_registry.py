"""Registries: all or nothing, no silent overwriting, and errors that help."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.parts import component
from toolbox.config import Config, Kind
from toolbox.errors import PluginError, UnknownComponent
from toolbox.records import ArchitectureInfo, ComponentInfo, ConverterInfo, ProtocolInfo
from toolbox.registry import Registries, Registry


def named(registry: Registry[Any]) -> list[str]:
    return [record.name for record in registry]


def encoders(*names: str, provider: str = "mine") -> Registry[ComponentInfo]:
    registry: Registry[ComponentInfo] = Registry("encoder")
    registry.add(*(dataclasses.replace(component(name), provider=provider) for name in names))
    return registry


def test_a_record_is_found_by_its_name() -> None:
    registry, record = Registry[ComponentInfo]("encoder"), component("edsr")
    registry.add(record)
    assert registry["edsr"] is record
    assert "edsr" in registry
    assert "rdn" not in registry


def test_records_are_listed_by_name() -> None:
    registry = encoders("rdn", "edsr", "identity")
    assert named(registry) == ["edsr", "identity", "rdn"]
    assert len(registry) == 3


def test_records_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        component("edsr").name = "rdn"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        ArchitectureInfo("edsr", {}, "").name = "rdn"  # type: ignore[misc]


def test_a_taken_name_is_refused_with_both_providers_and_nothing_is_added() -> None:
    registry = encoders("edsr", provider="ours")
    taken = dataclasses.replace(component("edsr"), provider="theirs")
    expected = r"^encoder 'edsr' of theirs is already provided by ours; rename one of them$"
    with pytest.raises(PluginError, match=expected):
        registry.add(component("new"), taken)
    assert named(registry) == ["edsr"]
    assert registry["edsr"].provider == "ours"


def test_a_name_twice_in_one_call_is_refused_and_nothing_is_added() -> None:
    registry: Registry[ComponentInfo] = Registry("encoder")
    with pytest.raises(PluginError, match=r"^encoder 'edsr' of the caller is already provided by the caller"):
        registry.add(component("edsr"), component("edsr"))
    assert len(registry) == 0


def test_an_unknown_name_gets_close_names_with_their_plugins() -> None:
    with pytest.raises(UnknownComponent, match=r"^unknown encoder 'edrs'; did you mean 'edsr' \(mine\)\?$"):
        encoders("edsr", "identity")["edrs"]


def test_a_name_close_to_none_gets_all_names() -> None:
    with pytest.raises(UnknownComponent, match=r"^unknown encoder 'zzz'; expected one of edsr, rdn$"):
        encoders("rdn", "edsr")["zzz"]


def test_an_empty_registry_says_so() -> None:
    with pytest.raises(UnknownComponent, match=r"expected one of none: the registry is empty$"):
        Registry[ComponentInfo]("encoder")["edsr"]


def test_a_name_of_an_inactive_plugin_is_explained() -> None:
    registry: Registry[ComponentInfo] = Registry("encoder", {"swin": "toolbox_swin"})
    expected = (
        r"^unknown encoder 'swin': plugin toolbox_swin would provide it, but is not active; "
        r"install or repair toolbox_swin$"
    )
    with pytest.raises(UnknownComponent, match=expected):
        registry["swin"]


def test_a_plugin_s_records_carry_its_name() -> None:
    registries = Registries.empty()
    registries.add_plugin("mine", [component("edsr")], [ArchitectureInfo("small", {}, "")])
    assert registries.components["encoder"]["edsr"].provider == "mine"
    assert registries.architectures["small"].provider == "mine"


def everything(registries: Registries) -> dict[str, list[Any]]:
    kinds = {str(kind): list(registry) for kind, registry in registries.components.items()}
    others = (registries.architectures, registries.converters, registries.protocols)
    return {**kinds, **{registry.kind: list(registry) for registry in others}}


def converter(name: str) -> ConverterInfo:
    return ConverterInfo(name, lambda checkpoint: False, lambda checkpoint, hints: None, Config, "")  # type: ignore[arg-type, return-value]


def protocol(name: str) -> ProtocolInfo:
    return ProtocolInfo(name, "", "", color="rgb", metrics=("psnr",))


def architecture(name: str) -> ArchitectureInfo:
    return ArchitectureInfo(name, {}, "")


@pytest.mark.parametrize(
    ("components", "architectures", "converters", "protocols", "message"),
    [
        ([component("edsr")], [], [], [], "^encoder 'edsr' of theirs is already provided by ours"),
        ([], [architecture("tiny")], [], [], "^architecture 'tiny' of theirs is already provided by ours"),
        ([], [], [converter("old")], [], "^checkpoint format 'old' of theirs is already provided by ours"),
        ([], [], [], [protocol("y")], "^protocol 'y' of theirs is already provided by ours"),
        ([component("new")], [], [], [], "^encoder 'new' of theirs is already provided by theirs"),
        (["edsr"], [], [], [], "^got 'edsr', expected a ComponentInfo whose kind is one of encoder, "),
        (
            [component("lens", "lens")],  # type: ignore[arg-type]
            [],
            [],
            [],
            r"^got ComponentInfo\(kind='lens'.*, expected a ComponentInfo whose kind is one of encoder, ",
        ),
        ([], [{"tiny": {}}], [], [], "^got {'tiny': {}}, expected an ArchitectureInfo$"),
        ([], [], ["pth"], [], "^got 'pth', expected a ConverterInfo$"),
        ([], [], [], ["sr-y"], "^got 'sr-y', expected a ProtocolInfo$"),
        ([], [architecture(None)], [], [], "^got the architecture name None, expected some text$"),  # type: ignore[arg-type]
        ([], [], [converter("")], [], "^got the checkpoint format name '', expected some text$"),
    ],
)
def test_a_plugin_with_one_fault_adds_nothing(
    components: Any, architectures: Any, converters: Any, protocols: Any, message: str
) -> None:
    registries = Registries.empty()
    registries.add_plugin("ours", [component("edsr")], [architecture("tiny")], [converter("old")], [protocol("y")])
    before = everything(registries)
    new: Any = (
        [component("new"), component("new", "decoder")],
        [architecture("small")],
        [converter("newer")],
        [protocol("rgb")],
    )
    faulty = (components, architectures, converters, protocols)
    with pytest.raises(PluginError, match=message):
        registries.add_plugin("theirs", *([*good, *bad] for good, bad in zip(new, faulty, strict=True)))
    assert everything(registries) == before
    registries.add_plugin("theirs", *new)
    assert everything(registries) != before


def test_a_copy_with_more_architectures_leaves_the_first_as_it_was() -> None:
    registries = Registries.empty()
    registries.add_plugin("ours", [component("edsr")], [architecture("tiny")])
    before = everything(registries)
    more = registries.with_architectures("mine", [architecture("small")])
    assert everything(registries) == before
    assert named(more.architectures) == ["small", "tiny"]
    assert more.architectures["small"].provider == "mine"
    with pytest.raises(PluginError, match=r"^architecture 'tiny' of mine is already provided by ours"):
        registries.with_architectures("mine", [architecture("tiny")])
    assert everything(registries) == before


def test_a_plugin_s_fault_while_it_lists_its_records_adds_nothing() -> None:
    def records() -> Any:
        yield component("new")
        raise RuntimeError("no more")

    registries = Registries.empty()
    with pytest.raises(RuntimeError, match=r"no more"):
        registries.add_plugin("theirs", records())
    assert "new" not in registries.components["encoder"]


def test_one_name_may_be_of_several_kinds() -> None:
    registries = Registries.empty()
    registries.add_plugin("mine", [component("liif", "encoder"), component("liif", "decoder")])
    assert registries.component(("decoder",), "liif").kind == "decoder"
    assert registries.component(("encoder",), "liif").kind == "encoder"


def test_a_component_is_looked_up_among_several_kinds() -> None:
    registries = Registries.empty()
    registries.add_plugin("mine", [component("edsr"), component("recurrent", "recurrent-wrapper")])
    kinds: tuple[Kind, ...] = ("encoder", "recurrent-wrapper")
    assert registries.component(kinds, "recurrent").kind == "recurrent-wrapper"
    with pytest.raises(UnknownComponent, match=r"^unknown encoder 'recurent'; did you mean 'recurrent' \(mine\)\?$"):
        registries.component(kinds, "recurent")
    with pytest.raises(
        UnknownComponent, match=r"^'recurrent' is of kind recurrent-wrapper, expected a component of kind encoder$"
    ):
        registries.component(("encoder",), "recurrent")


def test_looking_up_adds_nothing() -> None:
    registries = Registries.empty()
    registries.add_plugin("mine", [component("edsr"), component("recurrent", "recurrent-wrapper")])
    before = everything(registries)
    with pytest.raises(UnknownComponent):
        registries.component(("encoder", "recurrent-wrapper"), "zzz")
    assert everything(registries) == before
