"""The conformance kit, which checks the promises of every component.

Three lines in a plugin's tests::

    @pytest.mark.parametrize("case", conformance_cases("my_plugin"), ids=str)
    def test_conformance(case):
        case()

``RULES`` has all rules. Each is a small function with a name and a sentence.
"""

from toolbox.testing.cases import RuleCase, check_component, conformance_cases
from toolbox.testing.rules import RULES, Rule

__all__ = ["RULES", "Rule", "RuleCase", "check_component", "conformance_cases"]
