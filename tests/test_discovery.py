"""Plugins: found as a stranger's package is, set aside when broken, never imported by the core."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.parts import BUILT_IN
from toolbox import hookspecs
from toolbox.discovery import PluginWarning, create_plugin_manager, discover, installed
from toolbox.entry_points import COMPONENT_GROUP, PLUGIN_GROUP, SELECTION, declared
from toolbox.errors import UnknownComponent
from toolbox.registry import Registries

SEE = "; see `toolbox doctor`"

HEAD = """
from toolbox.plugin import ArchitectureInfo, ComponentInfo, hookimpl
"""

GOOD = """
from pathlib import Path

from pydantic import Field
from torch import nn

from toolbox.plugin import ComponentInfo, EncoderConfig, ProtocolInfo, hookimpl, read_catalog


class OneConvConfig(EncoderConfig):
    width: int = Field(default=6, gt=0)

    def out_channels(self, channels):
        return self.width

    def receptive_field(self):
        return 1


class OneConv(nn.Module):
    def __init__(self, config, channels):
        super().__init__()
        self.out_channels = config.width
        self.conv = nn.Conv2d(channels, config.width, 3, padding=1)

    def forward(self, image):
        return self.conv(image)


@hookimpl
def toolbox_components():
    return [ComponentInfo("encoder", "one-conv", OneConv, OneConvConfig, "one convolution", "none")]


@hookimpl
def toolbox_architectures():
    return read_catalog(Path(__file__).with_name("stranger.yaml"))


@hookimpl
def toolbox_protocols():
    return [ProtocolInfo("rgb-wide", "RGB without a wide border", "nobody", "rgb", ("psnr",), shave=(2, 10))]
"""

CATALOG = """
one-conv-any:
  summary: one convolution, decoded at any size
  channels: 3
  encoder: {name: one-conv, width: 5}
  decoder: {name: dual-interactive, hidden: [4]}
"""


@dataclass(frozen=True)
class Broken:
    """A package that does one thing wrong, and how the reason for setting it aside begins."""

    name: str
    code: str
    reason: str
    claims: list[str] = field(default_factory=list)


BROKEN = [
    Broken("import_error", "import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    Broken("syntax_error", "def toolbox_components(:", "SyntaxError: "),
    Broken("leaver", "raise SystemExit('goodbye')", "SystemExit: goodbye", claims=["promised"]),
    Broken(
        "misspelled",
        f"{HEAD}\n@hookimpl\ndef toolbox_componets():\n    return []\n",
        "unknown hook 'toolbox_componets' in plugin",
    ),
    Broken(
        "signature",
        f"{HEAD}\n@hookimpl\ndef toolbox_components(registry):\n    return []\n",
        "Plugin 'signature' for hook 'toolbox_components' hookimpl definition: toolbox_components(registry) ",
    ),
    Broken(
        "from_the_future",
        f"{HEAD}\nTOOLBOX_API = 99\n@hookimpl\ndef toolbox_components():\n    return []\n",
        f"it is written for version 99 of the plugin API, this toolbox has {hookspecs.API_VERSION}",
    ),
    Broken(
        "unmarked",
        f"{HEAD}\ndef toolbox_components():\n    return []\n",
        "it implements no hook; mark at least one of toolbox_architectures, ",
    ),
    Broken(
        "talkative",
        "import warnings\nwarnings.warn('old', DeprecationWarning)\nraise ValueError('tired')\n",
        "ValueError: tired",
    ),
    Broken(
        "duplicate",
        f"{HEAD}\nfrom toolbox.encoders.edsr import EDSR_ENCODER\n"
        "@hookimpl\ndef toolbox_components():\n    return [EDSR_ENCODER]\n",
        "encoder 'edsr' of duplicate is already provided by toolbox; rename one of them",
    ),
    Broken(
        "half_good",
        f"{HEAD}\nfrom dataclasses import replace\nfrom toolbox.encoders.edsr import EDSR_ENCODER\n"
        "@hookimpl\ndef toolbox_components():\n    return [replace(EDSR_ENCODER, name='half')]\n"
        "@hookimpl\ndef toolbox_architectures():\n    return [ArchitectureInfo('rdn-x2', {}, '')]\n",
        "architecture 'rdn-x2' of half_good is already provided by toolbox; rename one of them",
    ),
    Broken(
        "no_record",
        f"{HEAD}\n@hookimpl\ndef toolbox_components():\n    return ['edsr']\n",
        "got 'edsr', expected a ComponentInfo whose kind is one of encoder, ",
    ),
    Broken(
        "raiser",
        f"{HEAD}\n@hookimpl\ndef toolbox_components():\n    raise RuntimeError('out of ideas')\n",
        "RuntimeError: out of ideas",
    ),
    Broken(
        "late_raiser",
        f"{HEAD}\n@hookimpl\ndef toolbox_architectures():\n    yield ArchitectureInfo('late', {{}}, '')\n    1 / 0\n",
        "ZeroDivisionError: division by zero",
    ),
    Broken("no_list", f"{HEAD}\n@hookimpl\ndef toolbox_components():\n    return 5\n", "TypeError: "),
]


def write_package(folder: Path, name: str, code: str, claims: list[str] | None = None) -> None:
    """A package as an installer leaves it: a module and the folder with its metadata."""
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    components = "".join(f"{component} = {name}\n" for component in claims or [])
    entry_points = f"[{PLUGIN_GROUP}]\n{name} = {name}\n\n[{COMPONENT_GROUP}]\n{components}"
    (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")


def run(code: str, *path: Path) -> Any:
    """What a fresh interpreter prints as JSON, with folders on its path."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


USE = """
import json, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import toolbox
    components = {info.name: info.provider for info in toolbox.list_components()}
    architectures = {info.name: info.provider for info in toolbox.list_architectures()}

import torch
from toolbox.discovery import installed

def message(spec):
    try:
        toolbox.build(spec)
    except toolbox.ToolboxError as error:
        return str(error)

image = torch.rand(1, 3, 6, 7)
mine = {"channels": 3, "encoder": {"name": "one-conv"}, "decoder": {"name": "dual-interactive", "hidden": [4]}}
print(json.dumps({
    "components": components,
    "architectures": architectures,
    "warnings": [[type(w.message).__name__, str(w.message)] for w in caught],
    "set_aside": {each.plugin: each.reason for each in installed().set_aside},
    "versions": installed().versions,
    "any": list(toolbox.build("one-conv-any").eval()(image, scale=1.5).shape) if "one-conv-any" in architectures else 0,
    "mine": list(toolbox.build(mine).eval()(image, size=(3, 4)).shape) if "one-conv" in components else 0,
    "protocols": {info.name: [info.provider, info.shave] for info in installed().protocols},
    "hybrid": toolbox.build("nlrn-diinn-lite").channels,
    "promised": message({"channels": 3, "encoder": "promised", "decoder": "bicubic"}),
    "misspelled": message({"channels": 3, "encoder": "one-cnov", "decoder": "bicubic"}),
}))
"""


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a user gets who has a good stranger's package and every broken one beside it."""
    folder = tmp_path_factory.mktemp("site")
    write_package(folder, "stranger", GOOD, claims=["one-conv"])
    (folder / "stranger.yaml").write_text(CATALOG, encoding="utf-8")
    for broken in BROKEN:
        write_package(folder, broken.name, broken.code, broken.claims)
    return run(USE, folder)


def test_a_stranger_s_component_and_architecture_are_used_by_name(used: Any) -> None:
    assert used["components"]["one-conv"] == "stranger"
    assert used["architectures"]["one-conv-any"] == "stranger"
    assert used["any"] == [1, 3, 9, 11]
    assert used["mine"] == [1, 3, 3, 4]
    assert used["protocols"]["rgb-wide"] == ["stranger", [2, 10]]
    assert used["versions"]["stranger"] == "1.0"


@pytest.mark.parametrize("broken", BROKEN, ids=[broken.name for broken in BROKEN])
def test_a_broken_plugin_is_set_aside_with_one_warning(used: Any, broken: Broken) -> None:
    about = [w for w in used["warnings"] if w[1].startswith(f"plugin {broken.name} ")]
    assert len(about) == 1
    kind, message = about[0]
    assert kind == PluginWarning.__name__
    assert message.startswith(f"plugin {broken.name} (package {broken.name} 1.0) is set aside: {broken.reason}")
    assert message.endswith(SEE)
    assert used["set_aside"][broken.name].startswith(broken.reason)
    assert broken.name not in used["versions"]


def test_nothing_else_is_warned_of_or_set_aside(used: Any) -> None:
    assert len(used["warnings"]) == len(BROKEN)
    assert set(used["set_aside"]) == {broken.name for broken in BROKEN}


def test_a_misspelled_hook_is_told_the_hooks_there_are(used: Any) -> None:
    assert f"expected one of {', '.join(sorted(hooks()))}" in used["set_aside"]["misspelled"]


def test_a_broken_plugin_leaves_nothing_behind_and_everything_else_works(used: Any) -> None:
    expected = {info.name: info.provider for kind in installed().components.values() for info in kind}
    assert used["components"] == {**expected, "one-conv": "stranger"}
    expected = {info.name: info.provider for info in installed().architectures}
    assert used["architectures"] == {**expected, "one-conv-any": "stranger"}
    assert used["hybrid"] == 3


def test_a_name_that_a_broken_plugin_would_provide_is_explained(used: Any) -> None:
    assert used["promised"] == (
        "encoder.name: unknown encoder 'promised': plugin leaver would provide it, but is not active; "
        "install or repair leaver"
    )


def test_a_misspelled_name_is_told_the_stranger_s(used: Any) -> None:
    sentence = "encoder.name: unknown encoder 'one-cnov'; did you mean 'one-conv' (stranger)"
    assert used["misspelled"].startswith(sentence)


# The same in this process, for what needs no installed package.


def entry_point(name: str, module: str) -> metadata.EntryPoint:
    return metadata.EntryPoint(name, module, PLUGIN_GROUP)


def quiet(*entry_points: metadata.EntryPoint) -> tuple[Registries, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = discover(entry_points)
    return found, [str(warning.message) for warning in caught]


def test_a_healthy_installation_warns_of_nothing() -> None:
    found, messages = quiet(*metadata.entry_points(group=PLUGIN_GROUP))
    assert not messages
    assert not found.set_aside
    assert set(found.versions) >= BUILT_IN


def test_without_plugins_there_is_the_core() -> None:
    found, messages = quiet()
    assert not messages
    assert {info.provider for kind in found.components.values() for info in kind} == {"toolbox"}
    assert "edsr-baseline-x2" in found.architectures
    assert "nlrn" not in found.architectures


def test_what_a_missing_plugin_would_provide_is_explained() -> None:
    found, _ = quiet()
    with pytest.raises(UnknownComponent, match="plugin toolbox_nlrn would provide it, but is not active"):
        found.architectures["nlrn"]
    with pytest.raises(UnknownComponent, match="plugin toolbox_nlrn would provide it, but is not active"):
        found.component(("transition",), "nonlocal-residual")


def test_a_second_plugin_of_one_name_is_set_aside_and_the_first_stays() -> None:
    found, messages = quiet(entry_point("toolbox_nlrn", "toolbox_nlrn"), entry_point("toolbox_nlrn", "toolbox_diinn"))
    reason = "a plugin named 'toolbox_nlrn' is already active; rename the entry point"
    assert messages == [f"plugin toolbox_nlrn is set aside: {reason}{SEE}"]
    assert "nonlocal-residual" in found.components["transition"]
    assert "dual-interactive" not in found.components["decoder"]


def test_a_plugin_cannot_take_the_core_s_place() -> None:
    found, messages = quiet(entry_point("toolbox", "toolbox_nlrn"))
    assert len(messages) == 1
    assert "edsr" in found.components["encoder"]


def test_the_order_of_discovery_does_not_matter() -> None:
    entries = list(metadata.entry_points(group=PLUGIN_GROUP))
    forward, backward = quiet(*entries)[0], quiet(*reversed(entries))[0]
    assert forward.versions == backward.versions
    assert list(forward.architectures) == list(backward.architectures)


def test_a_package_with_several_broken_plugins_costs_one_warning() -> None:
    found, messages = quiet(entry_point("one", "nowhere_one"), entry_point("two", "nowhere_two"))
    (message,) = messages
    assert message.startswith(
        "plugin one is set aside: ModuleNotFoundError: No module named 'nowhere_one'; plugin two is"
    )
    assert [each.plugin for each in found.set_aside] == ["one", "two"]


def test_what_is_to_be_done_is_said_with_each_reason() -> None:
    found, _ = quiet(entry_point("one", "nowhere_one"), entry_point("toolbox", "toolbox_nlrn"))
    assert [each.remedy for each in found.set_aside] == [
        "repair it: pip install --force-reinstall unknown, or remove it: pip uninstall unknown",
        "tell its author, or remove it: pip uninstall unknown",
    ]


@pytest.mark.parametrize(
    ("names", "left_out"),
    [("", {"one", "two"}), ("two", {"one"}), (" two , one", set()), (None, set())],
    ids=["none", "one", "both", "not set"],
)
def test_the_environment_selects_plugins_of_other_packages(
    names: str | None, left_out: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if names is not None:
        monkeypatch.setenv(SELECTION, names)
    strangers = [entry_point("one", "toolbox_nowhere"), entry_point("two", "toolbox_nowhere")]
    found, _ = quiet(*declared(PLUGIN_GROUP), *strangers)
    assert set(found.left_out) == left_out
    assert {each.plugin for each in found.set_aside} == {"one", "two"} - left_out
    assert set(found.versions) >= BUILT_IN
    for plugin in left_out:
        assert found.why_inactive(plugin) == "TOOLBOX_PLUGINS leaves it out"


def test_a_selected_plugin_that_is_not_installed_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SELECTION, "nobody")
    assert quiet()[1] == [f"TOOLBOX_PLUGINS names nobody, which is no plugin that is installed{SEE}"]


def test_a_package_whose_metadata_cannot_be_read_names_no_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {entry.name for entry in declared(PLUGIN_GROUP)}
    for name, entry_points, description in (
        ("cut", "[toolbox]\ncut", "Name: cut\nVersion: 1\n"),
        ("bare", "[toolbox]\nbare = bare\n", ""),
        ("fine", "[toolbox]\nfine = fine\n", "Name: fine\nVersion: 1\n"),
    ):
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
        (info / "METADATA").write_text(description, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert {entry.name for entry in declared(PLUGIN_GROUP)} == before | {"fine"}


def test_discovery_happens_once() -> None:
    assert installed() is installed()


# What a plugin has to know.


def hooks() -> dict[str, Any]:
    return {name: getattr(hookspecs, name) for name in vars(hookspecs) if name.startswith("toolbox_")}


def test_there_are_few_hooks_and_each_is_documented() -> None:
    assert 1 <= len(hooks()) <= 8
    for name, hook in hooks().items():
        assert hook.__doc__, name
        assert "return" in hook.__annotations__, name


def test_the_manager_knows_every_hook_and_holds_the_core_alone() -> None:
    manager = create_plugin_manager()
    assert [name for name, _ in manager.list_name_plugin()] == ["toolbox"]
    assert all(getattr(manager.hook, name).spec is not None for name in hooks())


def test_the_core_comes_in_through_every_hook_as_plugins_do() -> None:
    manager = create_plugin_manager()
    for name in hooks():
        assert [impl.plugin_name for impl in getattr(manager.hook, name).get_hookimpls()] == ["toolbox"]


def test_built_in_plugins_claim_what_they_register() -> None:
    distribution = metadata.distribution("toolbox-restoration")
    claimed = {(e.name, e.value) for e in distribution.entry_points if e.group == COMPONENT_GROUP}
    kinds = installed().components.values()
    registered = {(info.name, info.provider) for kind in kinds for info in kind if info.provider != "toolbox"}
    assert claimed == registered
    plugins = {e.name for e in distribution.entry_points if e.group == PLUGIN_GROUP}
    assert plugins == BUILT_IN - {"toolbox"}
    assert {plugin for _, plugin in claimed} <= plugins


def test_every_hook_s_answers_carry_their_provider() -> None:
    found = installed()
    providers = set(found.versions)
    for kind in found.components.values():
        assert {info.provider for info in kind} <= providers
    others = (found.metrics, found.losses, found.datasets, found.degradations)
    for registry in (found.architectures, found.converters, found.protocols, *others):
        assert {info.provider for info in registry} <= providers


def test_a_fault_of_ours_is_reported_without_its_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = "from toolbox.errors import PluginError\nraise PluginError('needs a newer toolbox')"
    (tmp_path / "needy_plugin.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    found, messages = quiet(entry_point("needy", "needy_plugin"))
    assert messages == [f"plugin needy is set aside: needs a newer toolbox{SEE}"]
    assert found.why_inactive("needy") == "needs a newer toolbox"
