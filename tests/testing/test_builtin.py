"""The conformance kit on every component that is built in, as on a stranger's."""

from __future__ import annotations

import pytest

from tests.parts import BUILT_IN, COMPONENTS
from toolbox.testing import RuleCase, conformance_cases


def cases() -> list[RuleCase]:
    # tests/test_catalog.py asks more of our architectures.
    return [case for plugin in sorted(BUILT_IN) for case in conformance_cases(plugin) if isinstance(case, RuleCase)]


@pytest.mark.parametrize("case", cases(), ids=str)
def test_a_built_in_component_keeps_the_rule(case: RuleCase) -> None:
    case()


def test_every_component_is_checked() -> None:
    assert {(case.info.kind, case.info.name) for case in cases()} == {(info.kind, info.name) for info in COMPONENTS}
