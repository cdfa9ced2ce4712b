"""The conformance kit on every component that is built in, as on a stranger's."""

from __future__ import annotations

import pytest

from tests.parts import SMALL
from toolbox.discovery import list_components
from toolbox.testing import RuleCase, conformance_cases

BUILT_IN = {"toolbox", "toolbox_diinn", "toolbox_liif", "toolbox_metasr", "toolbox_nlrn"}


def cases() -> list[RuleCase]:
    found = []
    for plugin in sorted({info.provider for info in list_components()} & BUILT_IN):
        settings = {info.name: SMALL[info.kind][info.name] for info in list_components() if info.provider == plugin}
        # tests/test_catalog.py asks more of our architectures.
        found += [case for case in conformance_cases(plugin, settings) if isinstance(case, RuleCase)]
    return found


@pytest.mark.parametrize("case", cases(), ids=str)
def test_a_built_in_component_keeps_the_rule(case: RuleCase) -> None:
    case()


def test_every_component_is_checked() -> None:
    assert {(case.info.kind, case.info.name) for case in cases()} == {
        (info.kind, info.name) for info in list_components()
    }
