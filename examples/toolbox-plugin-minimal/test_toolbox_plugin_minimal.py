import pytest

from toolbox.testing import RuleCase, conformance_cases


@pytest.mark.parametrize("case", conformance_cases("toolbox_plugin_minimal"), ids=str)
def test_conformance(case: RuleCase) -> None:
    case()
