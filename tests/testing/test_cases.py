"""Cases of a plugin: what is checked, with which settings, and what is refused."""

from __future__ import annotations

import dataclasses
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.parts import component
from toolbox.discovery import installed
from toolbox.encoders.edsr import EDSR_ENCODER
from toolbox.errors import ConformanceError, PluginError, SpecError
from toolbox.testing import HOOK_RULES, RULES, RuleCase, check_component, conformance_cases
from toolbox.testing.cases import ArchitectureCase


def test_every_rule_has_a_name_and_a_sentence() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES) >= 15
    for rule in RULES:
        assert rule.sentence.endswith("."), rule.name
        assert "\n" not in rule.sentence, rule.name


def test_a_plugin_has_a_case_for_each_rule_component_and_setting_and_for_each_architecture() -> None:
    cases = conformance_cases("toolbox_metasr", {"meta-upscale": [{"hidden": 3}, {"hidden": 4}]})
    names = [str(case) for case in cases]
    assert len(set(names)) == len(names)
    assert names[:1] == ["decoder-meta-upscale-record"]
    assert f"decoder-meta-upscale-1-{RULES[-1].name}" in names
    converter = [f"checkpoint-format-metasr-{rule.name}" for rule in HOOK_RULES["checkpoint format"]]
    assert names[2 * len(RULES) :] == [*converter, "architecture-metasr", "architecture-metasr-edsr"]
    cases[-1]()


def test_a_component_is_checked_with_its_example_unless_other_settings_are_given() -> None:
    cases = [case for case in conformance_cases("toolbox_metasr") if isinstance(case, RuleCase)]
    assert [case.settings for case in cases] == [cases[0].info.example] * len(RULES)
    info = installed().components["decoder"]["pixel-shuffle"]
    check_component(component("mine", "decoder", info.factory, info.config, example={"scale": 3}))
    with pytest.raises(ConformanceError, match=r"breaks the rule example: decoder\.scale: got 0, "):
        check_component(component("mine", "decoder", info.factory, info.config, example={"scale": 0}), {"scale": 3})


def test_cases_of_a_plugin_that_is_not_active_are_refused_with_the_reason() -> None:
    with pytest.raises(PluginError, match=r"^plugin nobody is not active: it is not installed$"):
        conformance_cases("nobody")


def test_settings_of_no_component_are_refused() -> None:
    with pytest.raises(SpecError, match=r"^got settings for 'meta-upscal'; did you mean 'meta-upscale'\?$"):
        conformance_cases("toolbox_metasr", {"meta-upscal": {}})


def test_a_wrong_setting_is_told() -> None:
    with pytest.raises(ConformanceError, match=r"^encoder 'edsr' breaks the rule .*: .*blcks: unknown key;"):
        check_component(EDSR_ENCODER, {"blcks": 1})


def test_a_record_that_no_plugin_registered_is_checked_and_not_registered() -> None:
    check_component(component("mine"))
    with pytest.raises(PluginError):
        conformance_cases("toolbox.testing")


def test_checking_leaves_the_random_states_alone() -> None:
    states = torch.get_rng_state(), random.getstate(), np.random.get_state(legacy=False)["state"]["pos"]  # noqa: NPY002
    for case in conformance_cases("toolbox_metasr", {"meta-upscale": {"hidden": 3}}):
        if isinstance(case, RuleCase) and case.rule.name in ("sizes", "deterministic", "global-state"):
            case()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state(legacy=False)["state"]["pos"] == states[2]  # noqa: NPY002


def test_the_kit_needs_no_test_framework() -> None:
    code = "import sys, toolbox.testing; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_architecture_must_say_what_it_is_and_fit_its_weights() -> None:
    found = installed()
    lite, full = found.architectures["diinn-lite"], found.architectures["diinn"]
    ArchitectureCase(lite, found)()
    with pytest.raises(ConformanceError, match=r"^architecture 'diinn-lite' has no summary; expected one line$"):
        ArchitectureCase(dataclasses.replace(lite, summary=""), found)()
    with pytest.raises(ConformanceError, match=r"^the weights of architecture 'diinn' do not fit it: missing "):
        ArchitectureCase(dataclasses.replace(full, weights=lite.weights), found)()
