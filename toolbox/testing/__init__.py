"""The conformance kit, which checks the promises of every component, and of everything else that a plugin brings.

Three lines in a plugin's tests::

    @pytest.mark.parametrize("case", conformance_cases("my_plugin"), ids=str)
    def test_conformance(case):
        case()

``RULES`` has all rules for components, ``HOOK_RULES`` those for degradations, losses and the like. Each is a small
function with a name and a sentence.
"""

from toolbox.testing.cases import HookCase, RuleCase, check_component, check_record, conformance_cases
from toolbox.testing.hook_rules import HOOK_RULES
from toolbox.testing.rules import RULES, Rule

__all__ = [
    "HOOK_RULES",
    "RULES",
    "HookCase",
    "Rule",
    "RuleCase",
    "check_component",
    "check_record",
    "conformance_cases",
]
